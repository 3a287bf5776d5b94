"""Where the new device is, and what it says of itself before it knows its owner."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hem_provider.cli.confirming import ask, show
from hem_provider.cli.init.journal import unfinished
from hem_provider.config import DeviceConfig, load_config, new_device
from hem_provider.config.login_source import can_ask
from hem_provider.device.hem import Hem, Status, Version
from hem_provider.errors import HemConnectionError, HemDeviceFault, HemUnreachable
from hem_provider.records import frozen, replace

__all__ = ["Found", "find"]

#: Where devices are as they come from the factory (device API §1.1).
_USUAL = ("http://my.ence.do", "http://192.168.7.1")


@frozen
class Found:
    """A device that answers. ``hem`` has no login."""

    hem: Hem
    status: Status
    version: Version

    @property
    def address(self) -> str:
        """Where it was found."""
        return self.hem.config.url


@contextmanager
def find(address: str | None, ca_file: Path | None) -> Iterator[Found]:
    """The device at ``address``, or where one is usually.

    ``HemUnreachable`` where none is, ``HemDeviceFault`` where it has failed.
    """
    hem, status = _first(address, ca_file)
    with hem:
        if status.fls_state:
            raise HemDeviceFault(f"{hem.config.url}: the device has failed: {', '.join(status.faults)}")
        version = hem.version()
        state = "initialised" if status.initialized else "factory-fresh"
        show(f"{hem.config.url}: {version.hardware}, {version.firmware}, {state}.")
        yield Found(hem, status, version)


def _first(address: str | None, ca_file: Path | None) -> tuple[Hem, Status]:
    """The first that answers; a person may tell another place."""
    places = [address] if address else _places()
    while True:
        error: HemConnectionError | None = None
        for place in places:
            hem = Hem(_bare(place, ca_file))
            try:
                return hem, hem.status()
            except HemConnectionError as away:
                hem.close()
                error = error or away
        if address or not can_ask():
            hint = "" if address else "; say where it is: --address http://HOST"
            raise HemUnreachable(f"no device was found: {error}{hint}") from error
        show(f"No device was found at {' or '.join(places)}.")
        places = [ask("Where is it (http://HOST): ", instead="--address")]


def _places() -> list[str]:
    """Where one that was begun with is, else where the environment says, else the usual places."""
    begun = [each.address for each in unfinished()]
    named = os.environ.get("HEM_URL")
    return list(dict.fromkeys([*begun, *([load_config().device().url] if named else _USUAL)]))


def _bare(url: str, ca_file: Path | None) -> DeviceConfig:
    """How it is reached, without any login: it has no owner."""
    config = new_device(url, ca_file=ca_file)
    return replace(config, passphrase_file=None, passphrase_command=None, auth="passphrase", agent="never")
