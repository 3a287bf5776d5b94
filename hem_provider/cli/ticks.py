"""The sign of a result in a table on standard output."""

from __future__ import annotations

import sys

from hem_provider.cli.marks import Marks

__all__ = ["mark"]


def mark(well: bool | None) -> str:
    """Of what is well, is not, or is not known yet."""
    return Marks(sys.stdout).plain({True: "ok", False: "fault", None: ""}[well])
