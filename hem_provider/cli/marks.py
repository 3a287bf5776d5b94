"""The signs that findings are told by, in colours and in words where a terminal has no others; and lines
that fit it."""

from __future__ import annotations

import textwrap
from typing import TextIO

from hem_provider.cli.terminal import coloured, columns

__all__ = ["Marks", "folded"]

_SIGNS = {"ok": ("✔", "ok", "32"), "warning": ("⚠", "WARN", "33"), "fault": ("✘", "FAIL", "31")}
_NO_SIGN = ("·", "-", "2")
#: What is written otherwise where a character is not to be had.
_PLAIN = str.maketrans({"°": "", "…": "...", "—": "-", "–": "-", "→": "->"})
#: Columns that lines of text take at most.
_WIDEST = 100


class Marks:
    """Of one stream."""

    def __init__(self, stream: TextIO) -> None:
        encoding = (stream.encoding or "ascii").lower().replace("-", "")
        self.unicode = encoding.startswith("utf")
        self._colour = coloured(stream)
        self.columns = min(columns(stream), _WIDEST)

    @property
    def width(self) -> int:
        """Characters of the longest sign."""
        return max(len(row[0 if self.unicode else 1]) for row in (*_SIGNS.values(), _NO_SIGN))

    def sign(self, state: str) -> str:
        """The sign of a state, all of one width; a weak one for what was not looked at."""
        return self.paint(self.plain(state).ljust(self.width), _SIGNS.get(state, _NO_SIGN)[2])

    def plain(self, state: str) -> str:
        """The same without colour or width, for cells of tables."""
        return _SIGNS.get(state, _NO_SIGN)[0 if self.unicode else 1]

    def paint(self, text: str, colour: str) -> str:
        """In an ANSI colour, where that is welcome."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colour else text

    def text(self, text: str) -> str:
        """With characters that the stream has."""
        return text if self.unicode else text.translate(_PLAIN)


def folded(text: str, first: str, columns: int, indent: int) -> list[str]:
    """Lines of ``text`` after ``first``, which has ``indent`` characters to be seen; the others begin as far
    in. Nothing is cut off."""
    wide = max(columns - indent, 16)
    lines = textwrap.wrap(text, wide, break_long_words=False, break_on_hyphens=False) or [""]
    return [f"{first}{lines[0]}".rstrip(), *(" " * indent + each for each in lines[1:])]
