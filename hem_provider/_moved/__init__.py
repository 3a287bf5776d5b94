"""Former names of modules, for one release: importing one gives the module that is there now.

The package looks for a module here when it is not where it should be: its own search path, and nothing
of the interpreter's, is longer by this folder. To be removed with 1.0.
"""

from __future__ import annotations

import importlib
import sys
import warnings

__all__ = ["MOVED", "hand_over"]

#: Former name → name now. Each former name is a file here.
MOVED = {
    f"hem_provider.{former}": f"hem_provider.{now}"
    for former, now in (
        ("administration", "device.administration"),
        ("certificate", "device.certificate"),
        ("description", "device.description"),
        ("inventory", "device.inventory"),
        ("key", "device.key"),
        ("pairing", "device.phones"),
        ("passphrase", "config.passphrase"),
        ("settings", "config.settings"),
    )
}


def hand_over(name: str) -> None:
    """Let the module that is imported as ``name`` be the one that has its content now."""
    former = f"hem_provider.{name.rpartition('.')[2]}"  # whichever way it was found
    now = MOVED[former]
    warnings.warn(f"{former} is now {now}", DeprecationWarning, stacklevel=3)
    sys.modules[name] = importlib.import_module(now)
