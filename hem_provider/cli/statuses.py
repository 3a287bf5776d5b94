"""Which exit status an error ends a command with, and how it is told: a line, or JSON."""

from __future__ import annotations

import errno
import os
import sys

from hem_provider.cli import terminal
from hem_provider.errors import (
    HemApprovalTimeout,
    HemAuthenticationError,
    HemDeviceNotConfigured,
    HemError,
    HemKeyNotFound,
    HemOutcomeUnknown,
    HemScopeDenied,
    HemTimeout,
    HemTLSError,
    HemUnreachable,
)
from hem_provider.printable import printable

__all__ = [
    "DEBUG",
    "DONE",
    "ENDINGS",
    "FAILED",
    "INTERRUPTED",
    "MEANINGS",
    "NOT_FOUND",
    "NOT_REACHED",
    "REFUSED",
    "STATUSES",
    "USAGE",
    "Declined",
    "Manner",
    "NotThere",
    "UsageFault",
    "code_of",
    "end",
    "status_of",
]

DONE, FAILED, USAGE, NOT_REACHED, REFUSED, NOT_FOUND = range(6)
#: Variable of the environment by which faults of this program end it with a traceback.
DEBUG = "HEM_DEBUG"
#: 128 + SIGINT, as shells have it.
INTERRUPTED = 130


class UsageFault(Exception):
    """What was typed is no command; the text says what is accepted."""


class Declined(HemError):
    """A person was asked whether it is meant, and it is not."""


class NotThere(HemError):
    """What was named is not there; the text says where one sees what is."""


#: Error → exit status; the first row that fits counts, and any other error is ``FAILED``.
STATUSES: tuple[tuple[type[BaseException], int], ...] = (
    (KeyboardInterrupt, INTERRUPTED),
    (UsageFault, USAGE),
    (HemOutcomeUnknown, FAILED),  # something was reached, and may have been changed
    (HemApprovalTimeout, REFUSED),
    (HemUnreachable, NOT_REACHED),
    (HemTimeout, NOT_REACHED),
    (HemTLSError, NOT_REACHED),
    (HemAuthenticationError, REFUSED),
    (HemScopeDenied, REFUSED),
    (HemKeyNotFound, NOT_FOUND),
    (HemDeviceNotConfigured, NOT_FOUND),
    (NotThere, NOT_FOUND),
)
#: Exit status → what it means, for pages; it is the same for every command.
MEANINGS = {
    DONE: "done",
    FAILED: "failed",
    USAGE: "what was typed is no command; the line says what is accepted",
    NOT_REACHED: "the device, or the agent, was not reached",
    REFUSED: "refused: login, scope, or approval",
    NOT_FOUND: "what was named is not there: a key, a configured device, or the like",
    INTERRUPTED: "interrupted",
}
#: Errors whose line says all.
_PLAIN = (Declined, NotThere)
#: Errors of the system that have an entry of the catalogue.
_CODES = {
    errno.ENOSPC: "E-DISK-FULL",
    errno.EDQUOT: "E-DISK-FULL",
    errno.EFBIG: "E-DISK-FULL",
    errno.EROFS: "E-DISK-FULL",
    errno.EACCES: "E-DENIED",
    errno.EPERM: "E-DENIED",
}
#: What can end a command with a line instead of a traceback.
#: Every other error is a fault of this program, told as one line, too, unless ``DEBUG`` is set.
ENDINGS = (HemError, OSError, EOFError, KeyboardInterrupt, UsageFault)


class Manner:
    """How the running command wants its errors told: whether as JSON."""

    def __init__(self) -> None:
        self.as_json = False


def status_of(error: BaseException) -> int:
    """Which exit status it is."""
    return next((status for kind, status in STATUSES if isinstance(error, kind)), FAILED)


def end(error: BaseException, manner: Manner) -> int:
    """Tell one of ``ENDINGS``, or a fault of this program; the exit status."""
    status = status_of(error)
    if not isinstance(error, (KeyboardInterrupt, BrokenPipeError)):  # nobody is there to be told
        _tell(error, status, manner)
    if isinstance(error, OSError):
        # What could not be written lies in the buffer still.
        terminal.let_go(sys.stdout)
    return status


def _tell(error: BaseException, status: int, manner: Manner) -> None:
    text = _text(error)
    if manner.as_json:
        import json

        name = "UsageError" if isinstance(error, UsageFault) else type(error).__name__
        document = {"error": name, "message": text, "status": status}
        if (code := code_of(error)) not in ("", name):
            document["help"] = code
        try:
            print(json.dumps(document, ensure_ascii=False), flush=True)
        except OSError:
            terminal.let_go(sys.stdout)
        else:
            return
    try:
        print(f"hem: {text.removeprefix('hem: ')}", file=sys.stderr, flush=True)  # a device may be called hem
        if (code := code_of(error)) and sys.stderr.isatty():  # a line of its own: others end with a command
            print(f"     (hem help {code})", file=sys.stderr, flush=True)
    except OSError:  # it may take nothing either
        terminal.let_go(sys.stderr)


def code_of(error: BaseException) -> str:
    """What ``hem help`` explains it by; empty where its line says all that there is to say."""
    if isinstance(error, HemError):
        return "" if isinstance(error, _PLAIN) else error.code
    if isinstance(error, OSError):
        return _CODES.get(error.errno or 0, "")
    return "" if isinstance(error, (UsageFault, EOFError, KeyboardInterrupt)) else "E-FAULT"


def _text(error: BaseException) -> str:
    return printable(_told(error))  # names of files may have anything in them


def _told(error: BaseException) -> str:
    if isinstance(error, EOFError):
        return "the input ended before an answer was typed"
    if isinstance(error, OSError) and not isinstance(error, HemError):
        return f"{_place(error)}{error.strerror or error}"
    return str(error) if isinstance(error, (HemError, UsageFault)) else _fault(error)


def _place(error: OSError) -> str:
    """Where it was; asking for a working folder that is gone names none."""
    if error.filename is not None:
        return f"{error.filename}: "
    try:
        os.getcwd()  # noqa: PTH109 - nothing else of pathlib is needed here
    except OSError as again:
        return "the working folder: " if again.errno == error.errno else ""
    return ""


def _fault(error: BaseException) -> str:
    """What kind of fault it is, and where; its own text is not told, since it may have anything in it."""
    at = error.__traceback__
    place = "nowhere"
    while at is not None:
        name = at.tb_frame.f_globals.get("__name__", "")
        if name.partition(".")[0] == "hem_provider":
            place = f"{name}, line {at.tb_lineno}"
        at = at.tb_next
    kind = type(error).__name__
    return f"a fault of hem itself: {kind} in {place}; {DEBUG}=1 shows where from, please report it"
