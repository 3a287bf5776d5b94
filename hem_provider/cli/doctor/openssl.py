"""The check of OpenSSL: which way to a device's keys its version has, and whether that is there."""

from __future__ import annotations

import shutil

from hem_provider.cli.doctor.checking import Patient, Result, State
from hem_provider.cli.openssl_ways import INSTALL, asked, try_way, ways_of
from hem_provider.device.health import Finding, Level, release_of
from hem_provider.errors import HemConfigError

__all__ = ["openssl", "release_of", "ways_of"]


def openssl(_: Patient) -> Result:
    """The way that this OpenSSL has is there, and loads."""
    program = shutil.which("openssl")
    if program is None:
        return Result("no openssl program here", state=State.NOT_USED)
    try:
        here = asked(program)
    except HemConfigError as error:
        told = str(error)
        return Result(told, (Finding(Level.WARNING, "openssl-unknown", told, "docs/openssl.md"),))
    tried = {way: try_way(way, program) for way in here.ways}
    good = next((way for way in here.ways if tried[way].works), None)
    if good is not None:
        return Result(f"{here.name}: {good} ({tried[good].told})")
    broken = next((way for way in here.ways if tried[way].there), None)
    if broken is not None:
        cause = f"{here.name}: the {broken} does not load: {tried[broken].told}"
        return Result(cause, (Finding(Level.FAULT, f"{broken}-unusable", cause, "docs/openssl.md"),))
    first = here.ways[0]
    cause = f"{here.name} reaches keys by {' or '.join(here.ways)}, and none is here: {tried[first].told}"
    return Result(cause, (Finding(Level.WARNING, "openssl-without-way", cause, INSTALL[first]),))
