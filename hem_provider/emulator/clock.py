"""A clock for pressed time: a day of the device in an hour of ours."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

__all__ = ["FASTEST", "PressedClock", "rate_of"]

#: Most seconds of a device's world that pass in one of ours.
FASTEST: Final = 3600.0


class PressedClock:
    """Host time in Unix seconds that passes ``rate`` times as fast as the machine's ``clock``. It begins at
    the machine's time, or at ``since`` where that is later: a device whose time was pressed before does not
    go back."""

    def __init__(self, rate: float, *, since: float = 0.0, clock: Callable[[], float] = time.time) -> None:
        self._rate = rate
        self._clock = clock
        self._began = clock()
        self._first = max(self._began, since)

    def __call__(self) -> float:
        return self._first + (self._clock() - self._began) * self._rate


def rate_of(text: str) -> float:
    """How fast a clock is to go; ``ValueError`` says what is accepted."""
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 1 <= rate <= FASTEST:
        raise ValueError(f"a clock goes 1 to {FASTEST:g} times as fast as the machine's, not {text!r}")
    return rate
