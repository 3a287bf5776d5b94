"""What ``hem gpg`` writes into GnuPG's home: the program that gpg-agent starts, and a line that says so."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from hem_provider.config.load import ENVIRONMENT
from hem_provider.errors import HemConfigError
from hem_provider.files import make_private, read_file, replace_file

__all__ = ["PROGRAM", "check", "configured_program", "install", "keep_revocation"]

#: Names of the program and of gpg-agent's configuration, in GnuPG's home.
PROGRAM, _CONFIGURATION = "hem-scdaemon", "gpg-agent.conf"
_OPTION = "scdaemon-program"
_MOST = 1 << 20
#: Variables that say which devices there are.
_NAMING = ("HEM_CONFIG", "HEM_URL")
#: Of URLs that are a path.
_INSIDE = "emulator:"


def check(home: Path, *, force: bool) -> None:
    """``HemConfigError`` where another program is configured, without ``force``. Changes nothing."""
    known = configured_program(home)
    if known is not None and known != home / PROGRAM and not force:
        raise HemConfigError(
            f"{home / _CONFIGURATION}: {_OPTION} is {known} already; --force puts a HEM in its place "
            "(gpg-agent has one smart card daemon)"
        )


def install(home: Path, fingerprint: str) -> None:
    """Write both. The card of the certificate with this fingerprint is the one that gpg takes where nobody
    says which; those that were before it come after it. ``OSError``, ``HemConfigError``."""
    make_private(home)
    program = home / PROGRAM
    first = list(dict.fromkeys([fingerprint, *_preferred(program)]))
    replace_file(program, _script(first).encode(), mode=0o700)
    if configured_program(home) != program:
        lines = [line for line in _lines(home) if line.split()[:1] != [_OPTION]]
        lines.append(f"{_OPTION} {program}")
        text = "".join(f"{line}\n" for line in lines)
        place = home / _CONFIGURATION
        # A link, as people have them who keep their settings elsewhere, leads where it led.
        replace_file(
            place.resolve() if place.is_symlink() else place, text.encode("utf-8", "surrogateescape")
        )


def _preferred(program: Path) -> list[str]:
    try:
        text = read_file(program, "gpg-agent's smart card daemon", limit=_MOST).decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    return re.findall(r"--prefer ([0-9A-F]{40})\b", text)


def configured_program(home: Path) -> Path | None:
    """The smart card daemon that gpg-agent is told to start; ``None`` for its own."""
    found = [
        words[1]
        for words in (line.split(None, 1) for line in _lines(home))
        if words[:1] == [_OPTION] and words[1:]
    ]
    return Path(found[-1].strip()) if found else None


def _lines(home: Path) -> list[str]:
    try:
        data = read_file(home / _CONFIGURATION, "gpg-agent's configuration", limit=_MOST)
    except FileNotFoundError:
        return []
    lines = data.decode("utf-8", "surrogateescape").split("\n")  # splitlines() knows ends that GnuPG does not
    return lines[:-1] if lines[-1] == "" else lines


def _script(first: Sequence[str]) -> str:
    """What is started: this Python, and the device as it is configured now, where gpg-agent comes up in an
    environment that names none, or this one. One that names another is taken as it is: settings of two
    devices are never mixed. No secret stands in it, since none stands in a variable."""
    raw = {name: os.environ[name] for name in ("HEM_CONFIG", *ENVIRONMENT) if os.environ.get(name)}
    exports = [
        f"        {_unless_other(f'${{{name}-}}', value)} {_export(name, value)} ;; esac"
        for name, value in raw.items()
        if name not in _NAMING
    ]
    exports += [f"        {_export(name, raw[name])}" for name in _NAMING if name in raw]
    if exports:
        known = _unless_other("${HEM_CONFIG-}${HEM_URL-}", "".join(raw.get(name, "") for name in _NAMING))
        exports = [known, *exports, "        ;;", "esac"]
    words = [sys.executable, "-P", "-m", "hem_provider.cli.main", "scdaemon"]
    command = shlex.join([*words, *(word for each in first for word in ("--prefer", each))])
    return "\n".join(["#!/bin/sh", "# Made by 'hem gpg'.", *exports, f'exec {command} "$@"', ""])


def _unless_other(variables: str, value: str) -> str:
    """The beginning of what a shell does where these are empty or have this value, which may be a path from
    the directory of the setup: gpg-agent is in another."""
    patterns = "|".join(["''", shlex.quote(value)] if value else ["''"])
    return f'case "{variables}" in {patterns})'


def _export(name: str, value: str) -> str:
    return f"export {name}={shlex.quote(_placed(name, value))}"


def _placed(name: str, value: str) -> str:
    """A value that means the same from every working directory."""
    scheme = _INSIDE if value.startswith(_INSIDE) else ""
    rest = value.removeprefix(scheme)
    is_path = bool(scheme) or name == "HEM_CONFIG" or name.endswith("_FILE")
    return scheme + str(Path(rest).absolute()) if is_path and not rest.startswith(("/", "~")) else value


def keep_revocation(home: Path, fingerprint: str, make: Callable[[], bytes]) -> Path:
    """Keep the certificate by which a key is revoked where gpg keeps those of its own, made unusable as they
    are: a colon stands before its first line. One that is there stays; else ``make`` gives it, armored."""
    folder = home / "openpgp-revocs.d"
    make_private(folder)
    path = folder / f"{fingerprint}.rev"
    if not path.exists():
        text = (
            f"This revokes the OpenPGP key {fingerprint}, for the day when its device is lost\n"
            "or its owner wants it no more. To use it, remove the colon before the first dashes\n"
            "and run 'gpg --import' with this file.\n\n:"
        )
        replace_file(path, text.encode() + make())
    return path
