"""The Cryptoki library in one process: what ``C_Initialize`` makes and ``C_Finalize`` ends."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKR
from hem_pkcs11.log import log
from hem_pkcs11.operations.ivs import IvSource
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.sessions import SessionTable

if TYPE_CHECKING:
    from hem_pkcs11.slots import OpenDevice, Slot
    from hem_provider.config import Config, DeviceConfig
    from hem_provider.device.hem import Hem

__all__ = ["Library"]


def _load_config() -> Config:
    from hem_provider.config import load_config

    return load_config()


def _open_device(config: DeviceConfig) -> Hem:
    from hem_pkcs11.forward import forward
    from hem_provider.device.hem import Hem

    forward(log)
    return Hem(config)


class Library:
    """State of one process. ``load_config`` and ``open_device`` are replaced in tests."""

    def __init__(
        self,
        load_config: Callable[[], Config] = _load_config,
        open_device: OpenDevice = _open_device,
    ) -> None:
        self.load_config = load_config
        self.open_device = open_device
        self.initialized_in: int | None = None
        self.turning = threading.Lock()  # one thread at a time initialises or finalises
        self.config: Config | None = None
        self.slots: dict[int, Slot] = {}
        self.ivs = IvSource()  # outlives C_Finalize: no IV comes twice
        self.sessions = SessionTable(self.ivs)
        self.ended = threading.Event()  # wakes those who wait for an event

    def start(self, config: Config, slots: dict[int, Slot]) -> None:
        """From now on calls are served."""
        self.config = config
        self.slots = slots
        self.sessions = SessionTable(self.ivs)
        self.ended = threading.Event()
        self.initialized_in = os.getpid()

    def stop(self) -> None:
        """Forget everything: sessions, logins, connections."""
        self.initialized_in = None
        self.ended.set()
        for slot in self.slots.values():
            slot.close()
        self._forget()

    def abandon(self) -> None:
        """Overwrite what is secret and forget everything else without touching it: what a forked
        child does. The parent's connections and locks are not the child's to close or to take.
        """
        self.turning = threading.Lock()
        self.ivs = IvSource()
        self.sessions.abandon()
        for slot in self.slots.values():
            slot.abandon()
        self._forget()

    def _forget(self) -> None:
        self.initialized_in = None
        self.config = None
        self.slots = {}
        self.sessions = SessionTable(self.ivs)

    def slot(self, number: int) -> Slot:
        """Raises CKR_SLOT_ID_INVALID."""
        slot = self.slots.get(number)
        if slot is None:
            raise Pkcs11Error(CKR.SLOT_ID_INVALID)
        return slot
