"""Figures of a measurement: each case's percentiles, calls and ratio to the floor of its run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hem_provider.measuring.measure import FLOOR, Result, median_interval
from hem_provider.measuring.table import table
from hem_provider.records import asdict, field, frozen, replace

__all__ = ["Figure", "figures_of", "interval", "markdown", "milliseconds", "plain"]


@frozen
class Figure:
    """One row of a report. Times in seconds; ``ratio``, to layer ``floor``, is ``None`` where there is no
    such layer.

    ``group`` is the part of the report, ``samples`` every round's time for the distribution.
    """

    group: str
    operation: str
    layer: str
    median: float
    p95: float
    p99: float
    ratio: float | None
    calls: int
    logins: int
    samples: tuple[float, ...] = field(default=(), repr=False)
    floor: str = FLOOR

    @property
    def spread(self) -> float:
        """How many medians the 99th percentile is."""
        return self.p99 / self.median

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the true median lies, see ``median_interval``."""
        return median_interval(self.samples)

    def compared(self, floor: float) -> Figure:
        """The same figure with its ratio to another floor, in seconds."""
        return replace(self, ratio=self.median / floor)

    def document(self) -> dict[str, Any]:
        """The figure for JSON; times in microseconds precision."""
        fields = asdict(self)
        for name in ("median", "p95", "p99"):
            fields[name] = round(fields[name], 7)
        fields["ratio"] = None if self.ratio is None else round(self.ratio, 4)
        fields["samples"] = [round(each, 6) for each in self.samples]
        return fields


def figures_of(group: str, results: Iterable[Result], floor: str | None = None) -> list[Figure]:
    """The ratio is to layer ``floor`` of the same operation in the same run.

    Without ``floor``, to the layer that each case names; one that makes other calls than that does other
    work, and is not compared.
    """
    measured = list(results)
    found = {(each.case.operation, each.case.layer): each for each in measured}

    def ratio(each: Result) -> float | None:
        base = found.get((each.case.operation, floor or each.case.floor))
        if base is None or (floor is None and base.calls != each.calls):
            return None
        return each.median / base.median

    return [
        Figure(
            group=group,
            operation=each.case.operation,
            layer=each.case.layer,
            median=each.median,
            p95=each.p95,
            p99=each.p99,
            ratio=ratio(each),
            calls=each.calls,
            logins=each.logins,
            samples=tuple(each.seconds),
            floor=floor or each.case.floor,
        )
        for each in measured
    ]


def milliseconds(seconds: float) -> str:
    """Three significant digits, in ms.

    >>> milliseconds(0.0123456), milliseconds(1.5), milliseconds(0.0000021)
    ('12.3', '1500', '0.0021')
    """
    value = seconds * 1000
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.2g}"


def interval(figure: Figure) -> str:
    """``figure.interval`` in ms, for people; empty where there is none."""
    return "" if figure.interval is None else "–".join(map(milliseconds, figure.interval))


_HEAD = ("operation", "layer", "median", "95 % sure", "p95", "p99", "× floor", "calls", "logins")
_RIGHT = (2, 3, 4, 5, 6, 7, 8)


def plain(figures: Sequence[Figure]) -> str:
    """Aligned columns for a terminal; times in ms."""
    return table(_HEAD, [_row(each) for each in figures], right=_RIGHT)


def markdown(figures: Sequence[Figure]) -> str:
    """A Markdown table; times in ms. An operation is named in its first row only."""
    lines = ["| " + " | ".join(_HEAD) + " |", "|---|---|" + "--:|" * len(_RIGHT)]
    former = None
    for each in figures:
        row = _row(each)
        if each.operation == former:
            row = ("", *row[1:])
        former = each.operation
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def _row(figure: Figure) -> tuple[str, ...]:
    return (
        figure.operation,
        figure.layer,
        milliseconds(figure.median),
        interval(figure),
        *(milliseconds(each) for each in (figure.p95, figure.p99)),
        "" if figure.ratio is None else f"{figure.ratio:.2f}",
        str(figure.calls),
        str(figure.logins),
    )
