"""Text that others have chosen, as it can be shown: on one line, and without effect on a terminal."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str, instead: str | None = None) -> str:
    """``text`` with ``instead`` in the place of each character that is not printable, by default its escape
    (``\\x1b``, ``\\u202e``).

    >>> printable("a\\x1b[31m")
    'a\\\\x1b[31m'
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else instead or ascii(each)[1:-1] for each in text)
