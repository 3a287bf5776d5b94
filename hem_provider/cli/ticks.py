"""Signs for well, badly and unknown, in the characters that standard output has."""

from __future__ import annotations

import sys

__all__ = ["mark"]

_SIGNS = {True: ("✔", "ok"), False: ("✘", "FAILED"), None: ("…", "?")}


def mark(well: bool | None) -> str:
    """The sign of a result."""
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    return _SIGNS[well][0 if encoding.startswith("utf") else 1]
