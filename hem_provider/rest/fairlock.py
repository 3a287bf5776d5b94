"""A lock for threads that is handed on in the order of asking; ``threading.Lock`` knows no order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

__all__ = ["FairLock"]


class FairLock:
    """Who releases hands it to who has waited longest, so that nobody can come in between.

    ``before_free`` is called where nobody waits, by who had it, before it is free.
    """

    def __init__(self, before_free: Callable[[], object] = lambda: None) -> None:
        self._before_free = before_free
        self._guard = threading.Lock()  # held for an instant, never while waiting
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()

    def acquire(self, timeout: float) -> bool:
        """Whether it is held, within ``timeout`` seconds."""
        with self._guard:
            if not self._taken:
                self._taken = True
                return True
            gate = threading.Lock()
            gate.acquire()
            self._waiting.append(gate)
        try:
            passed = gate.acquire(timeout=timeout)
        except BaseException:  # an interrupt from the keyboard
            if not self._withdraw(gate):
                self.release()
            raise
        return passed or not self._withdraw(gate)

    def _withdraw(self, gate: threading.Lock) -> bool:
        """Whether it had not been handed over yet."""
        with self._guard:
            try:
                self._waiting.remove(gate)
            except ValueError:
                return False
            return True

    def release(self) -> None:
        """Hand it to the next, if there is one."""
        if self._hand_on():
            return
        try:
            self._before_free()
        finally:
            with self._guard:
                if self._waiting:  # by now
                    self._waiting.popleft().release()
                else:
                    self._taken = False

    def _hand_on(self) -> bool:
        with self._guard:
            if not self._waiting:
                return False
            self._waiting.popleft().release()
            return True

    def locked(self) -> bool:
        """Whether somebody holds it."""
        return self._taken
