"""Tables for a terminal; elsewhere their lines are as wide as what is in them.

What fits and is plain text is laid out here: a thousand rows take ``rich``, which is for all else, 0.3 s.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hem_provider.cli.terminal import coloured, columns
from hem_provider.printable import printable

__all__ = ["draw"]

#: Columns of what is not a terminal: no line is broken there, since programs read it.
_UNBROKEN = 100_000
#: Blanks between columns.
_GAP = 2


def draw(head: Sequence[str], rows: Sequence[Sequence[str]], spare: Sequence[str] = ()) -> None:
    """Print a table on standard output.

    On a terminal that is too narrow the columns ``spare`` are left out, the first of them first, and then
    cells are broken; a cell is never cut off.
    """
    rows = [[printable(each) for each in row] for row in rows]  # labels are others'
    wide = columns(sys.stdout) if sys.stdout.isatty() else _UNBROKEN
    shown = _fitting(head, rows, spare, wide)
    lines = _plain(head, rows, shown, wide) or _drawn(head, rows, shown, wide)
    print("\n".join(lines))


def _plain(head: Sequence[str], rows: Sequence[Sequence[str]], shown: Sequence[int], wide: int) -> list[str]:
    """The lines of a table that has nothing but what every terminal shows in one column, and breaks no cell;
    else none."""
    cells = [[row[column] for column in shown] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if sum(widths) + _GAP * (len(widths) - 1) > wide:
        return []
    if not all(each.isascii() and each.isprintable() for row in cells for each in row):
        return []
    gap = " " * _GAP
    lines = [gap.join(map(str.ljust, row, widths)).rstrip() for row in cells]
    if coloured(sys.stdout):
        lines[0] = f"\x1b[1m{lines[0]}\x1b[0m"
    return lines


def _drawn(head: Sequence[str], rows: Sequence[Sequence[str]], shown: Sequence[int], wide: int) -> list[str]:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for column in shown:
        table.add_column(head[column], overflow="fold")
    for row in rows:
        table.add_row(*(Text(row[column]) for column in shown))
    colours = coloured(sys.stdout)
    console = Console(
        file=sys.stdout, width=wide, force_terminal=colours, no_color=not colours, highlight=False
    )
    with console.capture() as captured:
        console.print(table)
    return [line.rstrip() for line in captured.get().splitlines()]


def _fitting(
    head: Sequence[str], rows: Sequence[Sequence[str]], spare: Sequence[str], wide: int
) -> list[int]:
    """The columns that are shown in so many characters."""
    widths = [max(len(row[column]) for row in (head, *rows)) + _GAP for column in range(len(head))]
    shown = list(range(len(head)))
    for title in spare:
        if sum(widths[column] for column in shown) - _GAP <= wide:
            break
        shown.remove(head.index(title))
    return shown
