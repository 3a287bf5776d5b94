"""What was collected last, for however many who ask: one collection at a time, and none before the last is
as old as it may become. Between two questions nothing runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from hem_provider.logs import WARNING, Logger

__all__ = ["Kept"]

_log = Logger("hem_provider.exporter")

T = TypeVar("T")

#: While a collection is under way, what it is to replace is told until it is so many intervals old, and for
#: so many seconds at least.
_STILL_TOLD, _AT_LEAST = 3.0, 60.0


class Kept(Generic[T]):
    """``collect`` is called in a thread of its own, and raises nothing in good order. ``interval``: seconds
    for which a result is good, from its end on."""

    def __init__(
        self, name: str, collect: Callable[[], T], interval: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = name
        self._collect = collect
        self._interval = interval
        self._now = now
        self._state = threading.Condition()
        self._running = False
        self._ended: float | None = None
        self._value: T | None = None
        self.collections = 0  #: that were begun

    def begin(self) -> None:
        """Begin a collection where one is due and none runs."""
        with self._state:
            if self._running or self._age() < self._interval:
                return
            self._running = True
            self.collections += 1
            threading.Thread(target=self._run, name=f"hem exporter {self._name}", daemon=True).start()

    def get(self, within: float) -> T | None:
        """The last result, of a collection that is waited for at most ``within`` seconds where one is due;
        ``None`` where there is none that is still true."""
        self.begin()
        with self._state:
            self._state.wait_for(lambda: not self._running, max(within, 0.0))
            if self._running and self._age() > max(_STILL_TOLD * self._interval, _AT_LEAST):
                return None
            return self._value

    def _age(self) -> float:
        return float("inf") if self._ended is None else self._now() - self._ended

    def _run(self) -> None:
        value = None
        try:
            value = self._collect()
        except Exception as error:  # a fault of this program: the others are served, and it is told
            _log.log(WARNING, "%s: the collection failed: %s", self._name, type(error).__name__)
        finally:
            with self._state:
                self._value, self._ended, self._running = value, self._now(), False
                self._state.notify_all()
