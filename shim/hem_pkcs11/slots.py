"""Slots: one for each configured device, with its token's presence, login and objects."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hem_pkcs11.constants import CKF, CKU
from hem_pkcs11.entropy import DeviceEntropy
from hem_pkcs11.expiry import Expiry
from hem_pkcs11.log import log
from hem_pkcs11.login import MAX_PIN, Login
from hem_pkcs11.objects.built_in import built_in_objects
from hem_pkcs11.objects.device_keys import shown
from hem_pkcs11.objects.stored_files import Store, store_directory
from hem_pkcs11.objects.table import ObjectTable
from hem_pkcs11.operations.saved import SavedStates
from hem_pkcs11.presence import Presence
from hem_pkcs11.values import SlotInfo, TokenInfo
from hem_provider.config import Config, DeviceConfig
from hem_provider.config.login_source import login_source
from hem_provider.device.token import MANUFACTURER, label_of, model_of, serial_of
from hem_provider.errors import (
    HemLoginRequired,
)
from hem_provider.threads import threads_allowed

if TYPE_CHECKING:
    from hem_provider.device.hem import Hem
    from hem_provider.device.key import Key

__all__ = ["OpenDevice", "Slot", "make_slots"]

OpenDevice = Callable[[DeviceConfig], "Hem"]

#: Age in seconds from which an open search, and a search that finds nothing, ask the device again.
LIST_FOR = 30.0
MISS_FOR = 2.0


class Slot:
    """One device. Nothing is asked of it before a call needs it."""

    def __init__(
        self,
        number: int,
        config: DeviceConfig,
        open_device: OpenDevice,
        *,
        keep_login: float = 0.0,
        store_directory: Path | None = None,
        device_random: bool = False,
    ) -> None:
        self.number = number
        self.config = config
        self.name = config.name
        self.login = Login(keep_login)
        self.objects = ObjectTable()
        self.states = SavedStates()
        self.entropy = DeviceEntropy() if device_random else None
        self.lock = threading.RLock()  # login and listing: one thread asks, the others wait
        self.presence = Presence(number, self.name, self.lock, lambda: self.hem)
        self._expiry = Expiry(self.lock, self._look_at_login)
        for each in built_in_objects():
            self.objects.add(each)
        self._store_directory = store_directory
        self._store: Store | None = None
        self._looked = float("-inf")
        self._open_device = open_device
        self._hem: Hem | None = None
        self._listed = float("-inf")
        self._listed_by_user = False

    @property
    def hem(self) -> Hem:
        """The device; made at the first use. Waits for nobody then: one that hangs keeps the lock."""
        known = self._hem
        if known is not None:
            return known
        with self.lock:
            if self._hem is None:
                self._hem = self._open_device(self.config)
            return self._hem

    @property
    def device_calls(self) -> int:
        """Calls made so far, for the log."""
        return self._hem.statistics.calls if self._hem is not None else 0

    @property
    def store(self) -> Store:
        """Certificates and data objects that belong to this very device."""
        with self.lock:
            if self._store is None:
                self._store = Store(self._store_place())
            return self._store

    def refresh_stored(self, *, after_miss: bool = False) -> None:
        """Take over what other processes stored, changed and removed, when the last look is too old."""
        with self.lock:
            if self._store_directory is None:
                return
            if time.monotonic() - self._looked < (MISS_FOR if after_miss else LIST_FOR):
                return
            changes = self.store.refresh()
            self._looked = time.monotonic()
            for gone in changes.gone:
                self.objects.remove(gone)
            for added in changes.added:
                self.objects.add(added)

    def look_at_store_again(self) -> None:
        """Let the next search look at it, as after a login."""
        with self.lock:
            self._looked = float("-inf")

    def _store_place(self) -> Path | None:
        if self._store_directory is None:
            return None
        identity = self.hem.identity or self.hem.probe()
        return self._store_directory / serial_of(identity.eid)

    def info(self, *, held: bool = False) -> SlotInfo:
        """What C_GetSlotInfo says; asks the device whether it is there, unless sessions are open (``held``):
        a token that is removed takes its sessions along, and an outage does not. Java gives a token up for
        good that was not there once."""
        flags = CKF.REMOVABLE_DEVICE | CKF.HW_SLOT
        if held or self.presence.present():
            flags |= CKF.TOKEN_PRESENT
        return SlotInfo(f"{self.name} at {self.config.url}", MANUFACTURER, int(flags))

    def token_info(self, sessions: int, rw_sessions: int) -> TokenInfo:
        """What C_GetTokenInfo says. Raises CKR_TOKEN_NOT_PRESENT."""
        self.presence.require()
        glimpse, identity = self.presence.glimpse, self.hem.identity or self.presence.glimpse
        emulated = self.hem.is_emulator or (glimpse is not None and glimpse.emulator)
        flags = CKF.RNG | CKF.LOGIN_REQUIRED | CKF.DUAL_CRYPTO_OPERATIONS
        if self.presence.initialized:
            flags |= CKF.TOKEN_INITIALIZED | CKF.USER_PIN_INITIALIZED
        if self.config.protected or login_source(self.config, agent=self.hem.agent_ready):
            flags |= CKF.PROTECTED_AUTHENTICATION_PATH
        for user, low in ((CKU.USER, CKF.USER_PIN_COUNT_LOW), (CKU.SO, CKF.SO_PIN_COUNT_LOW)):
            if user in self.login.refused:
                flags |= low
        return TokenInfo(
            label=label_of(self.name, emulator=emulated),
            manufacturer=MANUFACTURER,
            model=model_of(emulator=emulated),
            serial=serial_of(identity.eid) if identity else "",
            flags=int(flags),
            sessions=sessions,
            rw_sessions=rw_sessions,
            pin_min=1,
            pin_max=MAX_PIN,
        )

    @property
    def listing_is_fresh(self) -> bool:
        """Whether the object table is as the device listed it a moment ago."""
        user = self.login.user == CKU.USER
        return time.monotonic() - self._listed < LIST_FOR and (self._listed_by_user or not user)

    # --- keys -------------------------------------------------------------------------------

    def shows(self, key: Key) -> bool:
        """Whether ``key`` is an object of the token: of a type the module knows, not hidden
        (``show_hidden``), and let through by the configured label patterns (``key_filter``)."""
        return shown(key, self.config.key_filter, hidden=self.config.show_hidden)

    def refresh_objects(self, *, after_miss: bool = False) -> bool:
        """Bring the object table up to date where it is too old; whether the device was asked.

        Logged in, everything is listed. Before a login our own keys are found by anonymous
        search, where the device permits that; otherwise there is nothing to see.
        """
        with self.lock:
            self.refresh_stored(after_miss=after_miss)
            user = self.login.user == CKU.USER
            age = time.monotonic() - self._listed
            if user and not self._listed_by_user:
                pass  # more to see than before
            elif age < (MISS_FOR if after_miss else LIST_FOR) and not (after_miss and self.hem.keys.aged):
                return False
            hem = self.hem
            if age != float("inf") and (self._listed_by_user or not user):
                hem.keys.refresh()
            try:
                keys = list(hem.keys) if user else hem.keys.search_anonymous()
            except HemLoginRequired:
                if user:
                    raise
                log.info(f"{self.name}: keys are shown after login only")
                keys = []
            self.objects.update(filter(self.shows, keys), complete=user)
            self._listed, self._listed_by_user = time.monotonic(), user
            return True

    # --- login ------------------------------------------------------------------------------

    def logout(self) -> None:
        """End the login for the application. What may stay goes when its time is over: by a thread,
        or at the next call where the host forbids threads."""
        with self.lock:
            self.login.logout(self.hem)
            if self.login.left is not None and threads_allowed() and not self._expiry.watch():
                self.login.forget(self.hem)

    def _look_at_login(self) -> float | None:
        """Drop the credential when it is time; else the seconds until then."""
        if self._hem is not None:
            self.login.expire(self._hem)
        return self.login.left

    def expire_login(self) -> None:
        """Let go of a credential whose time is over. Waits for nobody: who holds the lock is in a
        call, and the next one looks again."""
        if self._hem is not None and self.login.expired and self.lock.acquire(blocking=False):
            try:
                self.login.expire(self._hem)
            finally:
                self.lock.release()

    def login_officer(self, master: str) -> None:
        """Log in by the master secret: 24 words are taken as such, anything else as a passphrase
        (device API §5.2, §24). Raises CKR_PIN_INCORRECT, which for words says which one is wrong.
        """
        with self.lock:
            self.login.login_officer(self.hem, master)

    def forget_device(self) -> None:
        """The device is another one now: nothing known of it holds."""
        with self.lock:
            self.login.forget(self.hem)
            self.objects.clear()
            for each in built_in_objects():
                self.objects.add(each)
            self._store, self._looked = None, float("-inf")
            self.hem.keys.refresh()
            self.presence.doubt()
            self._listed = float("-inf")

    def refused(self) -> None:
        """The device no longer accepts the credential: nobody is logged in."""
        if self._hem is not None:
            with self.lock:
                self.login.forget(self._hem)

    def doubt(self) -> None:
        """A change may have been made: the next search asks the device what there is."""
        with self.lock:
            self._listed = float("-inf")

    def abandon(self) -> None:
        """In a forked child: overwrite its copies of credential and session keys. Takes no lock."""
        self.objects.overwrite()
        self.login.abandon()
        if self._hem is not None:
            self._hem.abandon()

    def close(self) -> None:
        """Drop credential, connections and objects."""
        with self.lock:
            if self._hem is not None:
                self.login.forget(self._hem)
                self._hem.close()
                self._hem = None
            self._expiry.stop()
            self.objects.clear()
            self.states.clear()


def make_slots(config: Config, open_device: OpenDevice) -> dict[int, Slot]:
    """The slots by number: those that the configuration pins, the others from 0 upwards between."""
    pinned = {each.slot for each in config.devices if each.slot is not None}
    free = (number for number in range(len(config.devices) + len(pinned)) if number not in pinned)
    numbered = [(each.slot if each.slot is not None else next(free), each) for each in config.devices]
    options: dict[str, Any] = {
        "keep_login": config.pkcs11.login_cache,
        "store_directory": store_directory(config.source),
        "device_random": config.pkcs11.device_random,
    }
    return {
        number: Slot(number, device, open_device, **options)
        for number, device in sorted(numbered, key=lambda p: p[0])
    }
