"""A look at the clock that does not wait for a call: a thread that sleeps most of the time."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

__all__ = ["Expiry"]

#: Longest sleep, in seconds: a machine that was suspended has lost no more than this.
LOOK_EVERY = 30.0


class Expiry:
    """Calls ``look``, under ``lock``, until that says it is over: ``look`` gives the seconds until it
    wants to be called again, or ``None``.

    The thread takes no signals, since those are the host's, and does not keep the process alive.
    """

    def __init__(self, lock: threading.RLock, look: Callable[[], float | None]) -> None:
        self._lock = lock
        self._look = look
        self._stop: threading.Event | None = None  # of the thread that runs

    def watch(self) -> bool:
        """Begin to look, if nobody does; whether there is a thread for that."""
        with self._lock:
            if self._stop is not None:
                return True
            stop = threading.Event()
            before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            try:
                threading.Thread(target=self._run, args=(stop,), name="hem login", daemon=True).start()
            except RuntimeError:  # no more threads for this process or user
                return False
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            self._stop = stop
            return True

    def _run(self, stop: threading.Event) -> None:
        left: float | None = 0.0
        while left is not None and not stop.wait(min(left, LOOK_EVERY)):
            with self._lock:
                if self._stop is not stop:
                    return
                left = self._look()
                if left is None:
                    self._stop = None

    def stop(self) -> None:
        """Look no more. Does not wait."""
        with self._lock:
            stop, self._stop = self._stop, None
        if stop is not None:
            stop.set()
