"""A lock for threads that is handed on in the order of asking; ``threading.Lock`` knows no order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

__all__ = ["FairLock"]

#: Seconds that the one before stands back at most: as long as Python lets a thread run at once.
_STANDS_BACK = 0.005


class FairLock:
    """Who releases hands it to who has waited longest, so that nobody can come in between.

    Who released it stands back until the next one is ``under_way``: of two threads of Python one runs, and
    what the next does first is worth more. ``before_free`` is called where nobody waits, by who had it,
    before it is free.
    """

    def __init__(self, before_free: Callable[[], object] = lambda: None) -> None:
        self._before_free = before_free
        self._guard = threading.Lock()  # held for an instant, never while waiting
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()
        self._stands_back: threading.Lock | None = None  # who had it before

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

    def under_way(self) -> None:
        """Who has it waits for something else from here on, or is about to."""
        former, self._stands_back = self._stands_back, None
        if former is not None:
            former.release()

    def release(self) -> None:
        """Hand it to the next, if there is one."""
        self.under_way()
        if self._hand_on():
            return
        try:
            self._before_free()
        finally:
            self._hand_on(or_free=True)  # to who has come meanwhile

    def _hand_on(self, *, or_free: bool = False) -> bool:
        """Whether somebody waited, who has it then. ``or_free``: otherwise nobody has it."""
        with self._guard:
            if not self._waiting:
                if or_free:
                    self._taken = False
                return False
            own = self._stands_back = threading.Lock()
            own.acquire()
            self._waiting.popleft().release()
        own.acquire(timeout=_STANDS_BACK)
        return True

    def locked(self) -> bool:
        """Whether somebody holds it."""
        return self._taken
