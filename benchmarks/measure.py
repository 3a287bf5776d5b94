"""Interleaved timing: every case runs once a round, so that all of them meet the same machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

__all__ = ["Case", "Result", "interleave"]


@dataclass(frozen=True, slots=True)
class Case:
    """One operation at one layer. ``run`` is timed; ``prepare`` runs before it, untimed."""

    operation: str
    layer: str
    run: Callable[[], object]
    prepare: Callable[[], object] | None = None


@dataclass(slots=True)
class Result:
    """Seconds of each round, and the device calls and logins that one round needs."""

    case: Case
    seconds: list[float] = field(default_factory=list)
    calls: int = 0
    logins: int = 0

    @property
    def median(self) -> float:
        """Median, in seconds."""
        return statistics.median(self.seconds)

    @property
    def p95(self) -> float:
        """95th percentile (nearest rank), in seconds."""
        ordered = sorted(self.seconds)
        return ordered[max(0, -(-95 * len(ordered) // 100) - 1)]


def interleave(
    cases: Sequence[Case], rounds: int, count: Callable[[], tuple[int, int]], *, warm_up: int = 2
) -> list[Result]:
    """Time each case ``rounds`` times, in turn, after ``warm_up`` rounds that do not count.

    ``count`` gives the running totals of device calls and logins; it is asked outside the timing,
    and in the last round only.
    """
    results = [Result(case) for case in cases]
    for number in range(-warm_up, rounds):
        last = number == rounds - 1
        for result in results:
            if result.case.prepare is not None:
                result.case.prepare()
            before = count() if last else (0, 0)
            start = time.perf_counter()
            result.case.run()
            elapsed = time.perf_counter() - start
            if number >= 0:
                result.seconds.append(elapsed)
            if last:
                after = count()
                result.calls, result.logins = after[0] - before[0], after[1] - before[1]
    return results
