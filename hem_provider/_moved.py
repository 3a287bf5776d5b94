"""Former names of modules, for one release: importing one gives the module that is there now.

Not asked while a module is found in the usual way, so that this costs nothing otherwise.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["MOVED", "redirect"]

#: Former name → name now. To be removed with 2.0.
MOVED = {
    f"hem_provider.{former}": f"hem_provider.{now}"
    for former, now in (
        ("administration", "device.administration"),
        ("auditlog", "device.auditlog"),
        ("certificate", "device.certificate"),
        ("description", "device.description"),
        ("inventory", "device.inventory"),
        ("key", "device.key"),
        ("pairing", "device.phones"),
        ("passphrase", "config.passphrase"),
        ("settings", "config.settings"),
    )
}


class _Moved(MetaPathFinder, Loader):
    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in MOVED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        warnings.warn(f"{spec.name} is now {MOVED[spec.name]}", DeprecationWarning, stacklevel=2)
        module = importlib.import_module(MOVED[spec.name])
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """It has run already; what it says of itself stays true."""
        if module.__spec__ is not None:
            module.__spec__ = module.__spec__.loader_state


def redirect() -> None:
    """Let former names be found, after everything else has been looked at."""
    if not any(isinstance(each, _Moved) for each in sys.meta_path):
        sys.meta_path.append(_Moved())
