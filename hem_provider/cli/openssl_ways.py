"""Which ways to a device's keys the ``openssl`` here has, and whether they are there: asked of it."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from hem_provider.cli.built import module_path
from hem_provider.cli.openssl_files import configuration, engine_path, provider_configuration
from hem_provider.device.health import release_of
from hem_provider.errors import HemConfigError
from hem_provider.records import frozen

__all__ = ["INSTALL", "OpenSsl", "Tried", "asked", "provider_place", "try_way", "ways_of"]

_SECONDS = 60.0
_PROVIDER = "pkcs11.so"
#: Way → what brings it.
INSTALL = {"engine": "make setup, or another package of hem-provider", "provider": "install pkcs11-provider"}


@frozen
class OpenSsl:
    """An ``openssl`` program: its path, what it calls itself (``OpenSSL 3.5.1``), and the ways it has."""

    program: str
    name: str
    ways: tuple[str, ...]


@frozen
class Tried:
    """A way: whether what it needs is installed and loads, and where that is, or why it does not."""

    there: bool
    works: bool
    told: str


def ways_of(version: tuple[int, ...]) -> tuple[str, ...]:
    """The ways that an OpenSSL has, the better first (docs/openssl.md).

    >>> ways_of((3, 5, 1))
    ('provider', 'engine')
    """
    if version >= (4,):
        return ("provider",)
    return ("provider", "engine") if version >= (3, 2) else ("engine",)


def asked(program: str) -> OpenSsl:
    """What the program at this path is. ``HemConfigError`` where it is no OpenSSL."""
    said = _run(program, "version")
    version = release_of(said)
    if not said.startswith("OpenSSL ") or not version:
        raise HemConfigError(f"{program} is {said or 'silent'}")
    return OpenSsl(program, " ".join(said.split()[:2]), ways_of(version))


def try_way(way: str, program: str) -> Tried:
    """Whether ``engine`` or ``provider`` loads into this program."""
    return _TRIALS[way](program)


def provider_place(program: str) -> Path:
    """Where this program would load pkcs11-provider from."""
    found = re.search(r'MODULESDIR: "(.*)"', _run(program, "version", "-m"))
    return Path(found[1], _PROVIDER) if found else Path(_PROVIDER)


def _engine(program: str) -> Tried:
    try:
        engine = engine_path()
    except HemConfigError as error:
        return Tried(False, False, str(error))
    said = _run(program, "engine", "-t", "hem", configuration=configuration(engine))
    return Tried(True, bool(re.search(r"\[ available \]", said)), str(engine) if said else "it says nothing")


def _provider(program: str) -> Tried:
    place = provider_place(program)
    if not place.is_file():
        return Tried(False, False, f"there is no {place}")
    try:
        text = provider_configuration(place, module_path())
    except HemConfigError as error:
        return Tried(True, False, str(error))
    said = _run(program, "list", "-providers", configuration=text)
    release = re.search(r"PKCS#11 Provider\s+version: (\S+)", said)
    return Tried(True, release is not None, f"{place}{f', {release[1]}' if release else ''}")


_TRIALS = {"engine": _engine, "provider": _provider}


def _run(program: str, *arguments: str, configuration: str | None = None) -> str:
    """What it prints; nothing where it fails to."""
    environment = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="hem-openssl-") as folder:
        if configuration is not None:
            place = Path(folder, "openssl.cnf")
            place.write_text(configuration, encoding="utf-8", errors="surrogateescape")
            environment["OPENSSL_CONF"] = str(place)
        try:
            done = subprocess.run(
                [program, *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
    return (done.stdout + done.stderr).decode("utf-8", "replace").strip()
