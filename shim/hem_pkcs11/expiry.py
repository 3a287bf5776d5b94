"""A look at the clock that does not wait for a call: a thread that sleeps most of the time."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from functools import partial

from hem_provider.threads import begin_thread

__all__ = ["Expiry"]

#: Longest sleep, in seconds: a machine that was suspended has lost no more than this.
LOOK_EVERY = 30.0
#: How long the end of a Python host waits for a thread that is in the middle of a look, in seconds.
_PATIENCE = 5.0


class Expiry:
    """Calls ``look``, under ``lock``, until that says it is over: ``look`` gives the seconds until it
    wants to be called again, or ``None``.

    The thread does not keep the process alive. In a host that is Python it ends before the interpreter does,
    which would stop it wherever it is, with the lock that C_Finalize is going to need.
    """

    def __init__(self, lock: threading.RLock, look: Callable[[], float | None]) -> None:
        self._lock = lock
        self._look = look
        self._stop: threading.Event | None = None  # of the thread that runs
        self._thread: threading.Thread | None = None
        self._pid = 0  # where that is

    def watch(self) -> bool:
        """Begin to look, if nobody does; whether there is a thread for that."""
        with self._lock:
            if self._stop is not None:
                return True
            if _exits.is_set():
                return False
            stop = threading.Event()
            thread = begin_thread(partial(self._run, stop), "hem login")
            if thread is None:
                return False
            self._stop, self._thread, self._pid = stop, thread, os.getpid()
            _watching.add(self)
            return True

    def _run(self, stop: threading.Event) -> None:
        left: float | None = 0.0
        while left is not None and not stop.wait(min(left, LOOK_EVERY)):
            with self._lock:
                if self._stop is not stop:
                    return
                left = self._look()
                if left is None:
                    self._forget()

    def stop(self) -> None:
        """Look no more. Does not wait."""
        with self._lock:
            stop = self._stop
            self._forget()
        if stop is not None:
            stop.set()

    def _forget(self) -> None:
        self._stop = self._thread = None
        _watching.discard(self)

    def leave(self) -> None:
        """The interpreter is about to end. Takes no lock: in a forked child that is its parent's."""
        stop, thread = self._stop, self._thread
        if self._pid == os.getpid() and stop is not None and thread is not None:
            stop.set()
            thread.join(_PATIENCE)


_watching: set[Expiry] = set()
_exits = threading.Event()


@atexit.register
def _leave_all() -> None:
    _exits.set()
    for each in list(_watching):
        each.leave()
