"""How programs find the new device afterwards: its entry in the configuration."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from hem_provider.config import Config, DeviceConfig, config_path, load_config
from hem_provider.config.editing import Change, edit
from hem_provider.config.places import is_there
from hem_provider.config.tables import DEFAULTS
from hem_provider.errors import HemConfigError
from hem_provider.records import frozen

__all__ = ["Place", "place"]

#: Settings that a device is reached by; what else there is its owner chooses later.
_WRITTEN = ("url", "ca_file", "pin_sha256", "cloud_url", "cloud_ca_file", "cloud_proxy")


@frozen
class Place:
    """The file that is written; ``None`` where the environment says all, which no file could. ``there``:
    what it says now."""

    path: Path | None
    there: Config

    @property
    def names(self) -> Collection[str]:
        """Of the devices that it has."""
        return [each.name for each in self.there.devices] if self.path is not None else []

    def write(self, device: DeviceConfig) -> None:
        """Put the device there, or change how it is reached. ``HemConfigError``, ``OSError``."""
        if self.path is None:
            return
        values = {name: getattr(device, name) for name in _WRITTEN}
        edit(
            self.path,
            [
                Change(name, str(value) if value != DEFAULTS.get(name) else None, device=device.name)
                for name, value in values.items()
                if not (name == "cloud_proxy" and "@" in str(value))  # a password is kept in no file of ours
            ],
        )


def place() -> Place:
    """Where it will be written. ``HemConfigError`` where it could not be, before anything is done."""
    path = None if os.environ.get("HEM_URL") and not os.environ.get("HEM_CONFIG") else config_path()
    if path is None:
        return Place(None, Config())
    there = load_config(path) if is_there(path) else Config()
    above = path if is_there(path) else next(each for each in path.parents if each.is_dir())
    writable = os.access(above, os.W_OK) and (above != path or os.access(path.parent, os.W_OK))
    if not writable:
        raise HemConfigError(
            f"{path}: may not be written by user id {os.geteuid()}; name another file by HEM_CONFIG"
        )
    return Place(path, there)
