"""Messages for people, where ``HEM_PKCS11_LOG`` says: ``stderr|FILE|off[:error|warning|info|debug]``.

The default is ``error`` to standard error, where somebody reads that: a terminal, a pipe or a
local socket, such as the journal's. Other files that have number 2 may be the host's own, a network
connection above all, which gets that number where it was free; who wants lines there says so
(``stderr``). In a process with raised privileges the variable is ignored. Each line is one ``write`` to a
descriptor, so that lines of several threads and processes do not mix and no lock is held over a
fork. Callers pass shapes and names, never a PIN, key or message.
"""

from __future__ import annotations

import enum
import os
import stat
import time
from collections.abc import Mapping

__all__ = ["Level", "Log", "log"]


class Level(enum.IntEnum):
    """How much is said; each level includes those before it."""

    OFF = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    DEBUG = 4


class Log:
    """One destination and a level."""

    def __init__(self) -> None:
        self.level = Level.ERROR
        self._descriptor = 2
        self._asked = False  # somebody wants lines, whatever standard error is

    def configure(self, environ: Mapping[str, str], *, trusted: bool) -> None:
        """Follow ``HEM_PKCS11_LOG`` of ``environ`` when the environment is ``trusted``.

        A value that cannot be followed is reported on standard error and the default stays.
        """
        setting = environ.get("HEM_PKCS11_LOG", "") if trusted else ""
        place, colon, level = setting.rpartition(":")
        if not colon:
            place, level = setting, ""
        self.close()
        self._asked = bool(setting)
        self.level = Level.ERROR if not level and place in ("", "stderr") else Level.INFO
        if setting == "off":
            self.level = Level.OFF
        elif level.upper() in Level.__members__:
            self.level = Level[level.upper()]
        elif level:
            self.error(f"HEM_PKCS11_LOG={setting}: the level is one of error, warning, info, debug")
        if place not in ("", "stderr", "off"):
            self._open(place)

    def _open(self, path: str) -> None:
        # A FIFO that nobody reads, or that is full, makes no host wait.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            self._descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            self.error(f"HEM_PKCS11_LOG: cannot write {path}: {error.strerror}")

    def close(self) -> None:
        """Go back to standard error."""
        if self._descriptor != 2:
            os.close(self._descriptor)
        self._descriptor = 2

    def enabled(self, level: Level) -> bool:
        """Whether lines of ``level`` are written."""
        return level <= self.level

    def error(self, text: str) -> None:
        """Why a call failed."""
        self.write(Level.ERROR, text)

    def warning(self, text: str) -> None:
        """What goes on, but not as somebody wants it."""
        self.write(Level.WARNING, text)

    def info(self, text: str) -> None:
        """What happened."""
        self.write(Level.INFO, text)

    def debug(self, text: str) -> None:
        """Every call; shapes and names only."""
        self.write(Level.DEBUG, text)

    def write(self, level: Level, text: str) -> None:
        """One line; control characters are shown as escapes, so that nobody can forge a line."""
        if not self.enabled(level):
            return
        shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
        stamp = ""
        if self._descriptor == 2 and not (self._asked or _for_people(2)):
            return
        if self._descriptor != 2:
            stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {os.getpid()} {level.name.lower()} "
        try:
            os.write(self._descriptor, f"{stamp}hem-pkcs11: {shown}\n".encode("utf-8", "replace"))
        except OSError:
            return  # a full disk or a closed standard error must not fail a signature


def _for_people(descriptor: int) -> bool:
    """Whether it is a terminal, a pipe or a local socket: no file that a line of ours would damage."""
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISSOCK(mode):
            return _is_local(descriptor)
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or os.isatty(descriptor)


def _is_local(descriptor: int) -> bool:
    import socket  # where standard error is one

    blocking = os.get_blocking(descriptor)
    try:
        with socket.socket(fileno=os.dup(descriptor)) as found:
            return found.family == socket.AF_UNIX
    finally:  # a default time-out of the host's Python has changed it, for the host too
        if os.get_blocking(descriptor) is not blocking:
            os.set_blocking(descriptor, blocking)


#: The module's own log.
log = Log()
