"""A passphrase read from a file or from a command of the owner's; ``login_source`` says when."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from hem_provider.config.ahead import out_of_sight
from hem_provider.errors import HemConfigError
from hem_provider.files import read_file
from hem_provider.trust import check_not_writable_by_others, privileges_raised

if TYPE_CHECKING:
    from subprocess import Popen

__all__ = ["MAX_BYTES", "checked_command", "doubt", "passphrase_from_command", "passphrase_from_file"]

#: Longest passphrase that is read from a file or command, in bytes, its line end included.
MAX_BYTES = 4096
_COMMAND_TIMEOUT = 60.0


def passphrase_from_file(path: Path) -> str:
    """The file's one line without its line end; at most 4096 bytes of UTF-8, blanks included.

    Raises ``HemConfigError`` when it cannot be read, is empty or too long, has more than a line or
    a byte order mark, or others may read or write it.
    """
    return _text(_read_file(path), str(path))


def passphrase_from_command(command: tuple[str, ...]) -> str:
    """What the command prints, read the same way; it gets no standard input and 60 seconds. One that
    prints more than a passphrase can have is stopped.

    Raises ``HemConfigError`` when it fails, gives nothing, or others may write the program or a file
    that one of the arguments names (``["sh", "/path/script"]``).
    """
    return _text(_run(command), f"passphrase_command {command[0]}")


def _unusable(text: str) -> HemConfigError:
    return HemConfigError(text, code="E-PASSPHRASE-SOURCE")


def _text(raw: bytes, source: str) -> str:
    if len(raw) > MAX_BYTES:
        raise _unusable(f"{source}: a passphrase of over {MAX_BYTES} bytes")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _unusable(f"{source}: the passphrase is not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise _unusable(f"{source}: gave an empty passphrase")
    if text.startswith("\ufeff"):
        raise _unusable(
            f"{source}: the passphrase begins with a byte order mark, which an editor put there; "
            "save it as UTF-8 without one"
        )
    lines = len(re.split("\r\n|\r|\n", text))
    if lines > 1:
        raise _unusable(f"{source}: {lines} lines; accepted: the passphrase alone, on one line")
    return text


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
        return read_file(path, "the passphrase file", limit=MAX_BYTES, secret=True)
    except OSError as error:
        if (seen := out_of_sight(path, error)) is not None:
            return seen
        raise _unusable(f"{path}: cannot read the passphrase file: {error.strerror}") from None


def _run(command: tuple[str, ...]) -> bytes:
    import subprocess  # most passphrases come without a command, and it takes a tenth of the module's start

    program = checked_command(command)
    try:
        with subprocess.Popen(
            [program, *command[1:]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        ) as running:
            try:
                output, status = _output(running)
            except BaseException:
                running.kill()
                raise
    except (subprocess.TimeoutExpired, TimeoutError):
        raise _unusable(f"passphrase_command: {program} gave nothing within {_COMMAND_TIMEOUT:g} s") from None
    except OSError as error:
        raise _unusable(f"passphrase_command: cannot run {program}: {error.strerror}") from None
    if status != 0:
        raise _unusable(f"passphrase_command: {program} ended with status {status}")
    return output


def checked_command(command: tuple[str, ...]) -> str:
    """The program's path. ``HemConfigError`` where there is none, or others may write it or a file that an
    argument names. Nothing is run."""
    import shutil

    program = shutil.which(command[0]) if not privileges_raised() else command[0]
    if program is None or not Path(program).is_absolute():
        raise _unusable(f"passphrase_command: there is no program {command[0]!r}")
    try:
        check_not_writable_by_others(Path(program), "the passphrase command")
        for each in command[1:]:
            if os.path.isfile(each):  # noqa: PTH113 - what is no path is no file either
                check_not_writable_by_others(Path(each), "a file that the passphrase command names")
    except OSError as error:
        raise _unusable(f"passphrase_command: cannot run {program}: {error.strerror}") from None
    return program


def _output(running: Popen[bytes]) -> tuple[bytes, int]:
    """What it prints until it ends, and its status; one byte more than is accepted ends it (as 0)."""
    import select

    pipe = cast("IO[bytes]", running.stdout).fileno()
    deadline = time.monotonic() + _COMMAND_TIMEOUT
    output = b""
    ready = select.poll()
    ready.register(pipe, select.POLLIN)
    while len(output) <= MAX_BYTES:
        left = deadline - time.monotonic()
        if left <= 0 or not ready.poll(left * 1000):
            raise TimeoutError
        part = os.read(pipe, MAX_BYTES + 1 - len(output))
        if not part:
            return output, running.wait(max(0.0, deadline - time.monotonic()))
        output += part
    running.kill()
    return output, 0
