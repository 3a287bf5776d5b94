"""Clocks that a test moves."""

from __future__ import annotations

from hem_provider import waiting

__all__ = ["Clock", "quick_clock"]


class Clock:
    """Time, in seconds, that only moves when told to."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def quick_clock() -> waiting.Clock:
    """For what waits: its pauses take no time and count in full."""
    clock = Clock()
    return waiting.Clock(clock, clock.advance)
