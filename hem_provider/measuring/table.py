"""Tables for people: lines of aligned columns."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["table"]


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    rule_before_last: bool = False,
) -> str:
    """Lines of aligned columns; ``right`` numbers the columns that are set to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        cells = (
            c.rjust(w) if n in right else c.ljust(w) for n, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    rule = "  ".join("-" * width for width in widths)
    body = [line(row) for row in rows]
    if rule_before_last:
        body.insert(len(body) - 1, rule)
    return "\n".join([line(head), rule, *body])
