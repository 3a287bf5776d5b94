"""That a result does not take the place of what it is made from."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from hem_provider.cli.statuses import UsageFault

__all__ = ["check_not_itself"]

_STANDARD = "-"


def check_not_itself(output: str | Path | None, source: str | Path | None, what: str) -> None:
    """Refuse an ``output`` that is the file ``source`` by any name, also with ``--force``: it may be the only
    copy. ``source``: ``None`` and "-" are standard input, which may be that file; ``what``: what it is to be
    done with, as "encrypted". ``UsageFault``."""
    if output is None or str(output) == _STANDARD:
        return
    try:
        target = Path(output).stat()
        standard = source is None or str(source) == _STANDARD
        read = os.fstat(sys.stdin.fileno()) if standard else Path(str(source)).stat()
    except (OSError, ValueError, AttributeError):  # not there; or standard input is closed, or no file at all
        return
    if stat.S_ISREG(target.st_mode) and os.path.samestat(target, read):
        raise UsageFault(f"--output {output}: it is the file that is to be {what}")
