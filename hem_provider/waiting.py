"""Waiting for what may come: looking again and again, with pauses, until it has come or time is over."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Final

__all__ = ["CLOCK", "Clock"]


class Clock:
    """Monotonic seconds, and how to let them pass; tests put another in its place."""

    def __init__(
        self, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.now = now
        self.sleep = sleep

    def looks(self, seconds: float, pause: float, longest: float | None = None) -> Iterator[float]:
        """One item for each look: the time that is left (s). The first is due at once, the last when
        ``seconds`` are over; no pause reaches beyond that.

        ``pause`` (s) is between two looks. With ``longest`` it doubles up to that, and each is cut
        or prolonged by up to half at random, so that those who wait for the same do not march in step.
        """
        ends = self.now() + seconds
        while True:
            left = ends - self.now()
            yield max(left, 0.0)
            if left <= 0:
                return
            length = pause if longest is None else pause * (0.5 + os.urandom(1)[0] / 256)
            self.sleep(max(0.0, min(length, ends - self.now())))
            if longest is not None:
                pause = min(2 * pause, longest)


#: The machine's.
CLOCK: Final = Clock()
