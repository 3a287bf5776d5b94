"""The lock of ``ssh-add -x`` and ``-X``: a passphrase that is its own, kept as a slow hash."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os

__all__ = ["PassphraseLock"]

#: Rounds of PBKDF2 with SHA-512: about a tenth of a second.
_ROUNDS = 100_000
#: Seconds that each wrong one adds to the wait of the next answer, and the most, as OpenSSH's agent.
_STEP, _LONGEST = 0.1, 10.0


class PassphraseLock:
    """Open at first, or as another was whose ``kept`` is given: an agent that starts itself anew is not
    opened by that. Wrong passphrases are compared one after the other, ever more slowly."""

    def __init__(self, kept: str = "") -> None:
        self._salt, self._digest = map(bytes.fromhex, kept.split(":")) if kept else (b"", b"")
        self.is_locked = bool(kept)
        self._wrong = 0
        self._one = asyncio.Lock()

    @property
    def kept(self) -> str:
        """Salt and hash of a lock that is closed, as text for nobody but a successor; else empty."""
        return f"{self._salt.hex()}:{self._digest.hex()}" if self.is_locked and self._digest else ""

    async def lock(self, passphrase: bytes) -> bool:
        """Whether it is locked by this now: not with an empty passphrase, nor a second time."""
        if not passphrase or self.is_locked:
            return False
        self.is_locked = True  # before anything is awaited
        async with self._one:
            self._salt = os.urandom(32)
            try:
                self._digest = await self._hashed(passphrase)
            except BaseException:  # nobody was told that it is locked, and nothing would open it
                self.is_locked = False
                raise
        return True

    async def unlock(self, passphrase: bytes) -> bool:
        """Whether it was the passphrase, and the lock is open now."""
        async with self._one:
            if not passphrase or not self.is_locked:
                return False
            if hmac.compare_digest(self._digest, await self._hashed(passphrase)):
                self.is_locked, self._wrong = False, 0
                self._salt = self._digest = b""
                return True
            self._wrong += 1
            await asyncio.sleep(min(_STEP * self._wrong, _LONGEST))
            return False

    async def _hashed(self, passphrase: bytes) -> bytes:
        return await asyncio.to_thread(hashlib.pbkdf2_hmac, "sha512", passphrase, self._salt, _ROUNDS)
