"""A command at a terminal of its own: what it shows is waited for, what a person types is typed, and it can
be interrupted or killed at any place."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from typing import Self

__all__ = ["HEM", "Terminal"]

HEM = (sys.executable, "-m", "hem_provider.cli.main")
_SECONDS = 20.0


class Terminal:
    """``hem``, or another ``program``, with ``arguments``, as a context manager; killed at the end if it
    still runs.

    ``shown`` is all that it has shown, line ends as ``\\n``; ``rest`` what nobody has waited for yet.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        columns: int = 80,
        program: Sequence[str] = HEM,
    ) -> None:
        command = [*program, *map(str, arguments)]
        self.shown = self.rest = ""
        self.status: int | None = None
        self._bytes = b""
        self.pid, self._end = pty.fork()
        if self.pid == 0:  # pragma: no cover - the child
            os.execve(command[0], command, dict(environment))  # noqa: S606
        fcntl.ioctl(self._end, termios.TIOCSWINSZ, struct.pack("HHHH", 60, columns, 0, 0))

    def expect(self, text: str, seconds: float = _SECONDS) -> str:
        """What was shown up to ``text``, which has to come."""
        ends = time.monotonic() + seconds
        while text not in self.rest:
            if not self._read(ends - time.monotonic()):
                raise AssertionError(f"{text!r} was not shown:\n{self.shown}")
        before, _, self.rest = self.rest.partition(text)
        return before

    def type(self, line: str, *, after: str | None = None) -> None:
        """Type a line, when ``after`` was shown."""
        if after is not None:
            self.expect(after)
        self._settle()
        os.write(self._end, f"{line}\n".encode())

    def press(self, key: bytes, *, after: str | None = None) -> None:
        """A key, such as ``\\x03``."""
        if after is not None:
            self.expect(after)
        self._settle()
        os.write(self._end, key)

    def end(self, seconds: float = _SECONDS) -> int:
        """Wait until it has ended; its exit status, negative for a signal."""
        ends = time.monotonic() + seconds
        while self._read(ends - time.monotonic()):
            pass
        if self.status is None:
            _, status = os.waitpid(self.pid, 0)
            self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def kill(self, number: int = signal.SIGKILL) -> int:
        """End it from outside."""
        os.kill(self.pid, number)
        return self.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.end()
        os.close(self._end)

    def _settle(self) -> None:
        """Give it the moment in which it turns echo off after its question."""
        time.sleep(0.05)

    def _read(self, seconds: float) -> bool:
        """Whether it shows more within this time; ``AssertionError`` when it shows nothing and runs on."""
        if not select.select([self._end], [], [], max(seconds, 0))[0]:
            raise AssertionError(f"nothing more was shown:\n{self.shown}")
        try:
            part = os.read(self._end, 65536)
        except OSError:  # it has closed its end
            return False
        self._bytes += part
        whole = self._bytes.decode("utf-8", "replace").replace("\r\n", "\n")
        self.rest += whole[len(self.shown) :]
        self.shown = whole
        return bool(part)
