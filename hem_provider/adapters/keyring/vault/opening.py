"""From the configuration to the keys of a vault."""

from __future__ import annotations

from collections.abc import Callable

from hem_provider.adapters.keyring.vault.format import Header
from hem_provider.adapters.keyring.vault.keys import DeviceKeys
from hem_provider.config import DeviceConfig, load_config
from hem_provider.device.asking import log_in
from hem_provider.device.hem import Hem

__all__ = ["Opener", "configured_device"]


def configured_device(name: str | None, fallback: str | None) -> DeviceConfig:
    """The device called ``name``; without one the only device there is, else the one called
    ``fallback``. ``HemConfigError``."""
    config = load_config()
    if name is None and len(config.devices) > 1:
        name = fallback
    return config.device(name)


class Opener:
    """Opens each device once for a process, and asks a person at a terminal for the passphrase
    where the configuration has no source of a login."""

    def __init__(self) -> None:
        self._devices: dict[str, Hem] = {}

    def device(self, name: str | None, fallback: str | None, kid: str | None = None) -> Hem:
        """The device, logged in for ``kid`` if a person was asked. See ``configured_device``."""
        config = configured_device(name, fallback)
        hem = self._devices.get(config.name)
        if hem is None or hem.config != config:
            hem = self._devices[config.name] = Hem(config)
        log_in(hem, scope=f"keymgmt:use:{kid}" if kid else "keymgmt:list")
        return hem

    def unlock(self, name: str | None) -> Callable[[Header], DeviceKeys]:
        """The keys of a vault's device, as ``Vault`` wants them."""
        return lambda header: DeviceKeys(self.device(name, header.device, header.key))

    def close(self) -> None:
        """Drop connections and logins."""
        for hem in self._devices.values():
            hem.logout()
            hem.close()
        self._devices = {}
