"""Entropy of the device for C_GenerateRandom (``device_random`` in the configuration).

A device has no call for random numbers; the initialisation vector of a CBC encryption is fresh
output of its hardware generator, 16 bytes a call (device API §13.10). Two of them seed a stream
here, which is mixed into what the operating system gives by exclusive or: as the stream owes
nothing to those bytes, the result is at least as good as they are, whatever the device sends.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from hem_pkcs11.constants import CKK, CKO, CKU
from hem_pkcs11.log import log
from hem_pkcs11.objects.device_keys import DeviceKey
from hem_pkcs11.returns import Pkcs11Error
from hem_provider.errors import HemError

if TYPE_CHECKING:
    from hem_pkcs11.login import Login
    from hem_pkcs11.objects.table import ObjectTable
    from hem_provider.device.hem import Hem
    from hem_provider.device.key import Key

__all__ = ["DeviceEntropy", "EntropySource"]

#: So many calls of 16 bytes make a seed; so many bytes of output are made from one.
SEED_CALLS = 2
SEED_SIZE = 16 * SEED_CALLS
RESEED_AFTER = 2**20
#: Seconds after a seeding that failed until the next is tried.
RETRY_AFTER = 60.0


class EntropySource(Protocol):
    """What a slot has that entropy comes from."""

    name: str
    login: Login
    objects: ObjectTable

    @property
    def hem(self) -> Hem:
        """The device."""

    def refresh_objects(self) -> bool:
        """Bring ``objects`` up to date."""


class DeviceEntropy:
    """The stream of one slot. Safe for threads; a process that was forked begins a new one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._state = b""
        self._left = 0  # bytes of output before the next seeding
        self._failed_at = float("-inf")
        self._told: set[str] = set()

    def mix(self, slot: EntropySource, host: bytes) -> bytes:
        """``host`` combined with the stream; unchanged where there is none (yet)."""
        with self._lock:
            if self._left <= 0:
                self._seed(slot)
            if not self._state:
                return host
            self._left -= len(host)
            stream = hashlib.shake_256(b"output" + self._state).digest(len(host))
            # One way: who reads the memory later learns nothing of earlier output.
            self._state = hashlib.sha256(b"next" + self._state).digest()
        mixed = int.from_bytes(host, "big") ^ int.from_bytes(stream, "big")
        return mixed.to_bytes(len(host), "big")

    def _seed(self, slot: EntropySource) -> None:
        if slot.login.user != CKU.USER:
            self._tell(slot, "that takes a login")
            return
        if self._clock() < self._failed_at + RETRY_AFTER:
            return
        try:
            fresh = _harvest(slot)
        except (HemError, Pkcs11Error) as error:
            self._failed_at = self._clock()
            self._tell(slot, str(error))
            return
        self._state = hashlib.sha256(b"seed" + self._state + fresh).digest()
        self._left = RESEED_AFTER

    def _tell(self, slot: EntropySource, reason: str) -> None:
        if reason not in self._told:
            self._told.add(reason)
            log.warning(f"{slot.name}: random numbers without fresh entropy of the device: {reason}")


def _harvest(slot: EntropySource) -> bytes:
    slot.refresh_objects()
    keys = [
        each.key
        for each in slot.objects.find([], private=True)
        if isinstance(each, DeviceKey) and each.object_class == CKO.SECRET_KEY and each.key_type == CKK.AES
    ]
    if not keys:
        raise HemError("it has no AES key to make initialisation vectors with")
    key = min(keys, key=_unlike_cipher)
    made = [slot.hem.encrypt(key.kid, b"\0", f"{key.type.name}-CBC") for _ in range(SEED_CALLS)]
    fresh = b"".join(each.iv or b"" for each in made)
    if len(fresh) != SEED_SIZE:
        raise HemError(f"it made initialisation vectors of {len(fresh)} bytes, not {SEED_SIZE}")
    return fresh


def _unlike_cipher(key: Key) -> bool:
    """Any key will do, since the ciphertext is dropped; one meant for CBC comes first."""
    kept = key.family_mark
    return kept is not None and bool(kept) and "cipher" not in kept
