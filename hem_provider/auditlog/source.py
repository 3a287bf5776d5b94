"""What a device is asked for while its log is collected, and nothing else; each method is one call."""

from __future__ import annotations

from typing import Protocol

from hem_provider.device.checkin import identified
from hem_provider.device.hem import Hem
from hem_provider.errors import HemError

__all__ = ["HemSource", "Source"]


class Source(Protocol):
    """A device's log. Methods raise what calls raise."""

    def page(self, offset: int) -> tuple[tuple[str, ...], int]:
        """Up to 128 ids from the ``offset``-th on, and how many files there are."""

    def read(self, file: str) -> bytes:
        """One file. ``HemOperationFailed`` while it is being written."""

    def key(self) -> bytes:
        """The log key (32 bytes), which has proven itself."""

    def device(self) -> str:
        """Which device it is (``eid``): as it was seen last; a call only where it was not."""

    def serial(self) -> str:
        """The serial number of its hardware, in hex; empty where it does not say."""


class HemSource:
    """The log of ``hem``, which is logged in or does so by itself, with ``logger:get``."""

    def __init__(self, hem: Hem) -> None:
        self._hem = hem

    def page(self, offset: int) -> tuple[tuple[str, ...], int]:
        """As ``Source`` says."""
        return self._hem.audit.page(offset)

    def read(self, file: str) -> bytes:
        """As ``Source`` says."""
        return self._hem.audit.read(file)

    def key(self) -> bytes:
        """As ``Source`` says."""
        return self._hem.audit.key()

    def device(self) -> str:
        """As ``Source`` says. An agent is asked each time: it notices, and the device is not asked."""
        known = None if self._hem.agent_ready else self._hem.identity
        return (known or identified(self._hem)).eid

    def serial(self) -> str:
        """As ``Source`` says: its configuration tells, which ``logger:get`` may read (device API §8.1)."""
        try:
            return self._hem.admin.configuration().device_id or ""
        except HemError:  # it is of use, not needed
            return ""
