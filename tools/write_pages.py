"""Writing the pages that are made from the code, or saying which are not what it says."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["up_to_date"]


def up_to_date(folder: Path, made: Mapping[str, str], *, check: bool, whole: bool = True) -> int:
    """Write the pages ``made`` (file name → text) into ``folder``, or with ``check`` only compare; the exit
    status. ``whole``: no other page may be there; without ``check`` they are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    there = {each.name: each.read_text("utf-8") for each in folder.glob("*.md")}
    stale = sorted(name for name, text in made.items() if there.get(name) != text)
    extra = sorted(set(there) - set(made)) if whole else []
    if check:
        if stale or extra:
            print(f"{folder}: not what the code says: {', '.join(stale + extra)}", file=sys.stderr)
        return 1 if stale or extra else 0
    for name in stale:
        (folder / name).write_text(made[name], "utf-8")
    for name in extra:
        (folder / name).unlink()
    return 0
