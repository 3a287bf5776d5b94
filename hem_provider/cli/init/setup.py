"""One run of ``hem init``: what its steps have in common."""

from __future__ import annotations

from hem_provider.cli.confirming import show
from hem_provider.cli.init.finding import Found
from hem_provider.cli.init.journal import Journal
from hem_provider.cli.init.writing import Place
from hem_provider.cli.shape import Given
from hem_provider.config import DeviceConfig, new_device
from hem_provider.device.hem import Hem
from hem_provider.records import mutable, replace

__all__ = ["Setup", "set_clock"]


@mutable
class Setup:
    """``journal`` is there when the device is known, ``passphrase`` when it has one. ``goes_on``: it was
    begun before; ``begun``: the device may have its owner."""

    options: Given
    found: Found
    where: Place
    goes_on: bool
    begun: bool
    journal: Journal | None = None
    passphrase: str = ""

    def __repr__(self) -> str:
        return f"<Setup of {self.found.address}>"

    @property
    def hem(self) -> Hem:
        """The device where it was found."""
        return self.found.hem

    def present(self) -> Journal:
        """The journal of a device that is known."""
        if self.journal is None:
            raise AssertionError("there is no device yet")
        return self.journal

    def config(self) -> DeviceConfig:
        """How the device is used afterwards."""
        journal, settings = self.present(), self.hem.config
        config = new_device(journal.url, name=journal.answers["name"], ca_file=settings.ca_file)
        return replace(
            settings, url=config.url, name=config.name, ca_file=config.ca_file, pin_sha256=config.pin_sha256
        )


def set_clock(setup: Setup) -> None:
    """Check in, if the device has no time."""
    if setup.hem.status().time is None:
        setup.hem.check_in()
        show("Its clock is set.")
