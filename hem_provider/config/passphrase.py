"""Where a passphrase comes from when no caller gives one: a file or a command of the owner's."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from hem_provider.config.ahead import out_of_sight
from hem_provider.errors import HemConfigError, HemLoginRequired
from hem_provider.files import read_file
from hem_provider.trust import check_not_writable_by_others, privileges_raised

__all__ = ["ask_passphrase", "can_ask", "doubt", "passphrase_from_command", "passphrase_from_file"]

_MAX_BYTES = 4096
_COMMAND_TIMEOUT = 60.0


def passphrase_from_file(path: Path) -> str:
    """The file's one line without its line end; at most 4096 bytes of UTF-8, blanks included.

    Raises ``HemConfigError`` when it cannot be read, is empty or too long, has more than a line or
    a byte order mark, or others may read or write it.
    """
    return _text(_read_file(path), str(path))


def passphrase_from_command(command: tuple[str, ...]) -> str:
    """What the command prints, read the same way; it gets no standard input and 60 seconds.

    Raises ``HemConfigError`` when it fails, gives nothing, or others may write the program or a file
    that one of the arguments names (``["sh", "/path/script"]``).
    """
    return _text(_run(command), f"passphrase_command {command[0]}")


def _text(raw: bytes, source: str) -> str:
    if len(raw) > _MAX_BYTES:
        raise HemConfigError(f"{source}: a passphrase of over {_MAX_BYTES} bytes")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise HemConfigError(f"{source}: the passphrase is not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise HemConfigError(f"{source}: gave an empty passphrase")
    if text.startswith("\ufeff"):
        raise HemConfigError(
            f"{source}: the passphrase begins with a byte order mark, which an editor put there; "
            "save it as UTF-8 without one"
        )
    lines = len(re.split("\r\n|\r|\n", text))
    if lines > 1:
        raise HemConfigError(f"{source}: {lines} lines; accepted: the passphrase alone, on one line")
    return text


def ask_passphrase(name: str, url: str) -> str:
    """Ask the person at the terminal for the passphrase of a device, without echo.

    ``HemLoginRequired`` when there is no terminal to ask on, or nothing was typed.
    """
    if not can_ask():
        raise HemLoginRequired(
            f"{name}: no source of the passphrase is configured (passphrase_file, passphrase_command, "
            "HEM_PASSPHRASE_FILE), and there is no terminal to ask on"
        )
    import getpass

    try:
        passphrase = getpass.getpass(f"Passphrase of HEM {name} ({url}): ")
    except EOFError:
        passphrase = ""
    if not passphrase:
        raise HemLoginRequired(f"{name}: no passphrase was typed")
    return passphrase


def can_ask() -> bool:
    """Whether a person is there: a program without a terminal gets an error instead of a prompt."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr is not None and sys.stderr.isatty()


def doubt(passphrase: str) -> str | None:
    """What may be wrong with a passphrase that a device refuses, without telling anything of it;
    ``None`` when nothing strikes the eye."""
    if passphrase != passphrase.rstrip():
        return "the passphrase given ends with a blank or a line end, perhaps by mistake"
    if passphrase != passphrase.lstrip():
        return "the passphrase given begins with a blank, perhaps by mistake"
    return "the passphrase given begins with a byte order mark" if passphrase[:1] == "\ufeff" else None


def _read_file(path: Path) -> bytes:
    try:
        return read_file(path, "the passphrase file", limit=_MAX_BYTES, secret=True)
    except OSError as error:
        if (seen := out_of_sight(path, error)) is not None:
            return seen
        raise HemConfigError(f"{path}: cannot read the passphrase file: {error.strerror}") from None


def _run(command: tuple[str, ...]) -> bytes:
    import shutil  # most passphrases come without a command, and these take a tenth of the module's start
    import subprocess

    program = shutil.which(command[0]) if not privileges_raised() else command[0]
    if program is None or not Path(program).is_absolute():
        raise HemConfigError(f"passphrase_command: there is no program {command[0]!r}")
    try:
        check_not_writable_by_others(Path(program), "the passphrase command")
        for each in command[1:]:
            if os.path.isfile(each):  # noqa: PTH113 - what is no path is no file either
                check_not_writable_by_others(Path(each), "a file that the passphrase command names")
        done = subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=_COMMAND_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise HemConfigError(
            f"passphrase_command: {program} gave nothing within {_COMMAND_TIMEOUT:g} s"
        ) from None
    except OSError as error:
        raise HemConfigError(f"passphrase_command: cannot run {program}: {error.strerror}") from None
    if done.returncode != 0:
        raise HemConfigError(f"passphrase_command: {program} ended with status {done.returncode}")
    return done.stdout
