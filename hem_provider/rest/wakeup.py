"""Where a process of a line waits to be woken by another: a named pipe."""

from __future__ import annotations

import os
import select
import time
from contextlib import suppress

__all__ = ["WakeUp", "wake"]

#: Seconds after which a process looks by itself that has no pipe.
_LOOK_OFTEN = 0.005


class WakeUp:
    """One at ``path``, made here; on a file system without pipes there is none."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._pipe: int | None = None
        with suppress(OSError):
            os.mkfifo(path, 0o600)
            self._pipe = _open(path)

    def wait(self, seconds: float) -> None:
        """Until woken, or as long."""
        if self._pipe is None:
            time.sleep(min(seconds, _LOOK_OFTEN))
            return
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        if poll.poll(seconds * 1000):
            with suppress(BlockingIOError):
                os.read(self._pipe, 64)

    def end(self) -> None:
        """Close and remove it."""
        self.abandon()
        with suppress(OSError):
            os.unlink(self._path)  # noqa: PTH108 - in the way of each turn

    def abandon(self) -> None:
        """Close it alone."""
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            os.close(pipe)


def wake(path: str) -> None:
    """Wake who waits there, if somebody does."""
    with suppress(OSError):  # it has not come to wait yet, or is gone
        pipe = _open(path)
        try:
            os.write(pipe, b".")
        finally:
            os.close(pipe)


def _open(path: str) -> int:
    # For reading too, whoever opens it: then there is no SIGPIPE, whatever the other side does.
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
