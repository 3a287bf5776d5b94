"""Interleaved timing: every case runs once a round, so that all of them meet the same machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence

from hem_provider.records import field, frozen, mutable

__all__ = ["FLOOR", "Case", "Count", "Result", "interleave", "median_interval", "percentile"]

#: The layer that the others are compared with, unless they are of another kind.
FLOOR = "bare HTTPS"

#: Running totals of device calls and logins.
Count = Callable[[], tuple[int, int]]


@frozen
class Case:
    """One operation at one layer. ``run`` is timed; ``prepare`` runs before it, untimed.

    ``every``: a long operation runs in every so many rounds only. ``floor``: the layer that it is
    compared with.
    """

    operation: str
    layer: str
    run: Callable[[], object]
    prepare: Callable[[], object] | None = None
    every: int = 1
    floor: str = FLOOR


@mutable
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
        """95th percentile, in seconds."""
        return percentile(self.seconds, 95)

    @property
    def p99(self) -> float:
        """99th percentile, in seconds."""
        return percentile(self.seconds, 99)


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that ``percent`` of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]


def median_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Between which two of the values the true median lies, with a confidence of at least 95 %.

    By order statistics, so that nothing is assumed of how they are spread; ``None`` for fewer than 6, of
    which not even the whole range is so sure.

    >>> median_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    (1.0, 6.0)
    """
    count = len(values)
    outside, ways, place = 0, 1, 0  # of all ways in which the values can lie above and below the median
    while 40 * (outside + ways) <= 2**count:  # 2.5 % on each side
        outside += ways
        ways = ways * (count - place) // (place + 1)
        place += 1
    if place == 0:
        return None
    ordered = sorted(values)
    return ordered[place - 1], ordered[count - place]


def interleave(
    cases: Sequence[Case],
    rounds: int,
    count: Count,
    *,
    warm_up: int = 2,
    watch: Callable[[Iterable[int], int], Iterable[int]] | None = None,
) -> list[Result]:
    """Time each case ``rounds`` times, in turn, after ``warm_up`` rounds that do not count.

    ``count`` is asked outside the timing, and in a case's last round only. ``watch`` gets the
    rounds and their number and passes them on (a progress bar).
    """
    results = [Result(case) for case in cases]
    numbers: Iterable[int] = range(-warm_up, rounds)
    for number in watch(numbers, warm_up + rounds) if watch else numbers:
        for result in results:
            if number % result.case.every == 0:
                _run(result, count, counts=number >= 0, last=number + result.case.every >= rounds)
    return results


def _run(result: Result, count: Count, *, counts: bool, last: bool) -> None:
    case = result.case
    if case.prepare is not None:
        case.prepare()
    before = count() if last else (0, 0)
    start = time.perf_counter()
    case.run()
    elapsed = time.perf_counter() - start
    if counts:
        result.seconds.append(elapsed)
    if last:
        after = count()
        result.calls, result.logins = after[0] - before[0], after[1] - before[1]
