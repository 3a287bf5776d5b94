"""Nonces: 32 bytes that carry the device time and prove their origin, so that only used ones need storage.

LE32(device time) ‖ 12 random bytes ‖ 16 bytes of HMAC under a per-boot key (device API §2.3).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from hem_provider.emulator.store import Store

__all__ = ["LIFETIME", "Nonces"]

LIFETIME = 60
"""Seconds for which a nonce is good."""


class Nonces:
    """Issues and checks nonces; every method runs inside a transaction of the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        #: Seconds of the device in one of ours. Clients answer in our time: theirs is not pressed.
        self.pace = 1.0

    def issue(self, key: bytes, now: int) -> bytes:
        """A fresh nonce for the device time ``now`` in seconds."""
        head = (now & 0xFFFFFFFF).to_bytes(4, "little") + secrets.token_bytes(12)
        return head + hmac.digest(key, head, hashlib.sha256)[:16]

    def genuine(self, key: bytes, nonce: bytes) -> bool:
        """``True`` when this device issued the nonce in this boot."""
        if len(nonce) != 32:
            return False
        return hmac.compare_digest(hmac.digest(key, nonce[:16], hashlib.sha256)[:16], nonce[16:])

    def fresh(self, key: bytes, nonce: bytes, now: int, *, lifetime: int = LIFETIME) -> bool:
        """``True`` when the nonce is genuine, at most ``lifetime`` seconds of ours old and not used."""
        if not self.genuine(key, nonce):
            return False
        age = now - int.from_bytes(nonce[:4], "little")
        if not 0 <= age <= lifetime * self.pace:
            return False
        return not self._store.database.execute("SELECT 1 FROM nonce WHERE nonce = ?", (nonce,)).fetchone()

    def use(self, nonce: bytes, *, until: float) -> None:
        """Remember a nonce as used until the device time ``until``, and forget those that are too old
        anyway."""
        issued = int.from_bytes(nonce[:4], "little")
        self._store.database.execute("DELETE FROM nonce WHERE until < ?", (issued - 1,))
        self._store.database.execute("INSERT OR IGNORE INTO nonce VALUES (?, ?)", (nonce, until))
