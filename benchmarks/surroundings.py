"""What figures depend on: machine, load, versions; read once at the start and once at the end."""

from __future__ import annotations

import os
import platform
import ssl
import subprocess
from importlib import metadata
from pathlib import Path

__all__ = ["load", "surroundings"]

_PACKAGES = ("cryptography", "requests", "urllib3", "cffi", "python-pkcs11")


def load() -> float:
    """Processes that ran or waited, on average of the last minute."""
    return round(os.getloadavg()[0], 2)


def surroundings() -> dict[str, str]:
    """Machine and versions, for people."""
    found = {
        "hem-provider": metadata.version("hem-provider") + _commit(),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "OpenSSL": ssl.OPENSSL_VERSION,
        "system": _system(),
        "processor": f"{os.cpu_count()} cores, {_processor()}",
    }
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


#: What is measured. Elsewhere a run may have written its figures already.
_PRODUCT = ("hem_provider", "shim", "pyproject.toml")


def _commit() -> str:
    try:
        commit = _git("describe", "--always")
        changed = _git("status", "--porcelain", "--", *_PRODUCT)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f" ({commit}-dirty)" if changed else f" ({commit})"


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _system() -> str:
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release()}"
    except OSError:
        return platform.platform()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
