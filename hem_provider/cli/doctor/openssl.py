"""The check of OpenSSL: which way to a device's keys its version has, and whether that is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from hem_provider.cli.built import module_path
from hem_provider.cli.commands.openssl import configuration, engine_path, provider_configuration
from hem_provider.cli.doctor.checking import Patient, Result, State
from hem_provider.device.health import Finding, Level, release_of
from hem_provider.errors import HemConfigError
from hem_provider.records import frozen

__all__ = ["openssl", "ways_of"]

_SECONDS = 60.0
_PROVIDER = "pkcs11.so"
_INSTALL = {"engine": "make setup, or another package of hem-provider", "provider": "install pkcs11-provider"}


def ways_of(version: tuple[int, ...]) -> tuple[str, ...]:
    """The ways that an OpenSSL has, the better first (docs/openssl.md).

    >>> ways_of((3, 5, 1))
    ('provider', 'engine')
    """
    if version >= (4,):
        return ("provider",)
    return ("provider", "engine") if version >= (3, 2) else ("engine",)


@frozen
class _Tried:
    there: bool
    works: bool
    told: str


def openssl(_: Patient) -> Result:
    """The way that this OpenSSL has is there, and loads."""
    program = shutil.which("openssl")
    if program is None:
        return Result("no openssl program here", state=State.NOT_USED)
    said = _run(program, "version")
    version = release_of(said)
    if not said.startswith("OpenSSL ") or not version:
        finding = Finding(
            Level.WARNING, "openssl-unknown", f"{program} is {said or 'silent'}", "docs/openssl.md"
        )
        return Result(said, (finding,))
    ways = ways_of(version)
    tried = {way: _TRIALS[way](program) for way in ways}
    name = " ".join(said.split()[:2])
    good = next((way for way in ways if tried[way].works), None)
    if good is not None:
        return Result(f"{name}: {good} ({tried[good].told})")
    broken = next((way for way in ways if tried[way].there), None)
    if broken is not None:
        cause = f"{name}: the {broken} does not load: {tried[broken].told}"
        return Result(cause, (Finding(Level.FAULT, f"{broken}-unusable", cause, "docs/openssl.md"),))
    cause = f"{name} reaches keys by {' or '.join(ways)}, and none is here: {tried[ways[0]].told}"
    return Result(cause, (Finding(Level.WARNING, "openssl-without-way", cause, _INSTALL[ways[0]]),))


def _engine(program: str) -> _Tried:
    try:
        engine = engine_path()
    except HemConfigError as error:
        return _Tried(False, False, str(error))
    said = _run(program, "engine", "-t", "hem", configuration=configuration(engine))
    return _Tried(True, bool(re.search(r"\[ available \]", said)), str(engine) if said else "it says nothing")


def _provider(program: str) -> _Tried:
    found = re.search(r'MODULESDIR: "(.*)"', _run(program, "version", "-m"))
    place = Path(found[1], _PROVIDER) if found else Path(_PROVIDER)
    if not place.is_file():
        return _Tried(False, False, f"there is no {place}")
    try:
        text = provider_configuration(place, module_path())
    except HemConfigError as error:
        return _Tried(True, False, str(error))
    said = _run(program, "list", "-providers", configuration=text)
    release = re.search(r"PKCS#11 Provider\s+version: (\S+)", said)
    return _Tried(True, release is not None, f"{place}{f', {release[1]}' if release else ''}")


_TRIALS = {"engine": _engine, "provider": _provider}


def _run(program: str, *arguments: str, configuration: str | None = None) -> str:
    """What it prints; nothing where it fails to."""
    environment = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="hem-doctor-") as folder:
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
