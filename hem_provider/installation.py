"""How this installation came, and so with which command a missing part of it is installed.

Extras (``pyproject.toml``) bring what only some commands need. Whoever finds a package missing says so in
the words of ``missing`` or ``explained``: with the command that installs the extra's packages into the
environment that this package lies in. The packages are named one by one, since the way by which this package
came, a file that was a wheel perhaps, need not be there any more.
"""

from __future__ import annotations

import enum
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = [
    "EXTRA_OF",
    "LIBRARY_OF",
    "Way",
    "explained",
    "extra_of",
    "install_command",
    "lacking",
    "missing",
    "outdated",
    "update_command",
    "way",
]

#: Package, as it is imported → the extra that brings it.
EXTRA_OF = {
    "Crypto": "emulator",
    "google": "kms",  # protobuf
    "grpc": "kms",
    "h11": "agent",
    "jeepney": "agent",
    "keyring": "keyring",
    "kyber_py": "emulator",
    "matplotlib": "bench",
    "nacl": "nacl",
    "pkcs11": "demo",
    "prometheus_client": "exporter",
    "sdnotify": "agent",
}
#: Adapter → the library that it is for, as it is imported, and the oldest that will do. Whoever uses the
#: library installs it: no extra brings it, and nothing else here imports it.
LIBRARY_OF = {
    "hem_provider.adapters.asyncssh": ("asyncssh", "asyncssh>=2.17"),
    "hem_provider.adapters.djangoca": ("django_ca", "django-ca>=3"),
    "hem_provider.adapters.joserfc": ("joserfc", "joserfc>=1.6.8"),
    "hem_provider.adapters.jwcrypto": ("jwcrypto", "jwcrypto>=1.5.6"),
    "hem_provider.adapters.paramiko": ("paramiko", "paramiko>=3.5"),
    "hem_provider.adapters.pdf": ("pyhanko", "pyhanko>=0.38"),
    "hem_provider.adapters.pyjwt": ("jwt", "pyjwt>=2.10"),
    "hem_provider.adapters.securesystemslib": ("securesystemslib", "securesystemslib>=1.6"),
    "hem_provider.adapters.tink": ("tink", "tink>=1.11"),
}
#: Parts of ours that find a package too old when they are imported → the extra that brings a newer one.
_PARTS = {"hem_provider.emulator": "emulator"}
_NAME = "hem-provider"
#: A line ``Requires-Dist`` of an extra.
_OF_EXTRA = re.compile(r"(?P<what>[^;]+?)\s*;\s*extra\s*==\s*[\"'](?P<extra>[\w-]+)[\"']")
_OURSELVES = re.compile(rf"{_NAME}\[(?P<extras>[\w,-]+)\]")


class Way(enum.Enum):
    """How an installation came; the value is the command, with what ``install_command`` fills in."""

    CHECKOUT = "{python} -m pip install -e {itself}"
    DEBIAN = "apt-get install --reinstall hem-provider"
    PIPX = "pipx inject {name} {packages}"
    UV = "uv pip install --python {prefix} {packages}"
    PIP = "{python} -m pip install {packages}"
    TARGET = "{python} -m pip install --target {folder} {packages}"


def missing(extra: str, reason: str = "") -> str:
    """One line that names the extra, ``reason`` (what exactly is missing), and the command."""
    because = f" ({reason})" if reason else ""
    return f"needs the extra {extra!r}, which is not installed{because}: {install_command(extra)}"


def explained(error: ImportError, what: str) -> str | None:
    """What an import that failed says to a person, ``what`` being the command or the part that wanted it;
    ``None`` where no extra brings the module."""
    extra = extra_of(error.name or "")
    absent = isinstance(error, ModuleNotFoundError)
    reason = f"no package {error.name!r}" if absent else str(error)
    return None if extra is None else f"{what} {missing(extra, reason)}"


def lacking(adapter: str, error: ImportError) -> ImportError:
    """What an adapter raises where the library that it is for cannot be imported: one line that names it and
    the command that installs it into the environment of the program that runs."""
    _, package = LIBRARY_OF[adapter]
    folder, how = _folder(), way()
    command = _command(folder, [package], "", Way.PIP if how in (Way.CHECKOUT, Way.DEBIAN) else how)
    return ModuleNotFoundError(f"{adapter} needs {package} ({error}): {command}", name=error.name)


def extra_of(module: str) -> str | None:
    """The extra that brings a module, or what a part of ours lacks; ``None`` for others."""
    return _PARTS.get(module) or EXTRA_OF.get(module.partition(".")[0])


def install_command(extra: str, folder: Path | None = None) -> str:
    """The shell command that installs what an extra needs. ``folder``: where this package lies."""
    folder = folder or _folder()
    packages = sorted(set(_requirements(folder, extra))) or [f"{_NAME}[{extra}]"]
    return _command(folder, packages, f"{folder}[{extra}]")


def outdated(folder: Path | None = None) -> Iterator[tuple[str, str, str]]:
    """Packages beside this one that are older than it needs: name, version, and the oldest that will do.
    Whoever installs others by force, or without what they ask for, has such. ``folder``: as above."""
    from importlib.metadata import PackageNotFoundError, version

    for line in _requirements(folder or _folder(), None):
        name, _, needed = line.partition(">=")
        try:
            found = version(name)
        except PackageNotFoundError:
            continue  # importing it tells
        if needed and _numbers(found) < _numbers(needed):
            yield name, found, needed


def update_command(packages: Iterable[str], folder: Path | None = None) -> str:
    """The shell command that installs these packages, as ``cryptography>=45``, for this installation."""
    folder = folder or _folder()
    return _command(folder, packages, str(folder))


def _numbers(version: str) -> tuple[int, ...]:
    """The release's numbers, as far as they are numbers."""
    return tuple(int(each) for each in [*re.findall(r"\d+", version.partition("+")[0]), 0, 0][:3])


def _command(folder: Path, packages: Iterable[str], itself: str, how: Way | None = None) -> str:
    prefix = _environment(folder)
    local = folder / ".venv" if prefix is None else prefix
    python = local / "bin" / "python"
    return (how or way(folder)).value.format(
        python=shlex.quote(str(python if python.exists() else sys.executable or "python3")),
        itself=shlex.quote(itself),
        name=local.name,
        prefix=shlex.quote(str(prefix or sys.executable)),
        folder=shlex.quote(str(folder)),
        packages=shlex.join(packages),
    )


def way(folder: Path | None = None) -> Way:
    """How what lies in ``folder`` (this package's) came."""
    folder = folder or _folder()
    if (folder / "pyproject.toml").is_file():
        return Way.CHECKOUT
    prefix = _environment(folder)
    installer = _installer(folder)
    if installer == "dpkg":
        return Way.DEBIAN
    if prefix is not None and (prefix / "pipx_metadata.json").is_file():
        return Way.PIPX
    if installer == "uv":
        return Way.UV
    if prefix is None and folder.name not in ("site-packages", "dist-packages"):
        return Way.TARGET
    return Way.PIP


def _folder() -> Path:
    """That of the package's files, which is the one of the checkout or of all packages."""
    return Path(__file__).resolve().parents[1]


def _environment(folder: Path) -> Path | None:
    """The virtual environment of a folder of packages, ``PREFIX/lib/pythonX.Y/site-packages``."""
    above = folder.parents
    return above[2] if len(above) > 2 and (above[2] / "pyvenv.cfg").is_file() else None


def _installer(folder: Path) -> str:
    """What wrote the packages there, by its own word; empty when it said nothing."""
    from importlib.metadata import Distribution

    for each in Distribution.discover(name=_NAME, path=[str(folder)]):
        return (each.read_text("INSTALLER") or "").strip()
    return ""


def _requirements(folder: Path, extra: str | None) -> Iterator[str]:
    """The packages of an extra, ``None`` for what is always needed, with their versions, as the
    installation's own metadata has them."""
    from importlib.metadata import Distribution

    for each in Distribution.discover(name=_NAME, path=[str(folder)]):
        for line in each.requires or ():
            if extra is None and ";" not in line:
                yield line
            found = _OF_EXTRA.fullmatch(line)
            if found is None or found["extra"] != extra:
                continue
            others = _OURSELVES.fullmatch(found["what"])
            if others is None:
                yield found["what"]
            else:
                for other in others["extras"].split(","):
                    yield from _requirements(folder, other)
        return
