"""The parts of the campaign, in the order of the page. A part is a module with ``run(effort) -> Outcome``."""

from __future__ import annotations

import importlib
import shutil
import tempfile
import time
from pathlib import Path

from campaign.outcome import Effort, Outcome, stamped

__all__ = ["PARTS", "run_part"]

_IN_ORDER = ("fuzz", "contract", "faults", "kills", "disks", "soak", "devices", "secrets")
#: Name on the command line → module.
PARTS = {name: f"campaign.{name}" for name in _IN_ORDER}


def run_part(name: str, *, share: float = 1.0, seed: int = 1) -> Outcome:
    """One part, in a folder of its own that is removed when nothing failed, or when somebody ends it before
    it has found anything out; else it is told where it is.

    Raises:
        KeyError: there is no such part.
    """
    module = importlib.import_module(PARTS[name])
    folder = Path(tempfile.mkdtemp(prefix=f"hem-{name}-"))
    began = time.monotonic()
    effort = Effort(folder, share, seed)
    try:
        outcome = stamped(module.run(effort), effort, began)
    except (KeyboardInterrupt, SystemExit):
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except Exception as error:
        error.add_note(f"what it left is in {folder}")
        raise
    if outcome.problems():
        print(f"  what it left is in {folder}", flush=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return outcome
