"""A passphrase that a program offers, compared without the passphrase: by a MAC under a key that is made
anew for each unlocking. The program gets the key and computes the MAC, so that no passphrase enters the
agent's memory."""

from __future__ import annotations

import asyncio
import hmac
from contextlib import suppress

__all__ = ["MOST_WRONG", "PinCheck"]

#: So many wrong ones lock the agent.
MOST_WRONG = 10
#: Seconds that the first wrong one costs, doubled by each further one, and the most.
_FIRST, _LONGEST = 0.25, 8.0


class PinCheck:
    """``key`` and ``mac``: 32 bytes each, of the passphrase that the agent was unlocked with."""

    def __init__(self, key: bytes, mac: bytes) -> None:
        for name, value in (("key", key), ("mac", mac)):
            if len(value) != 32:
                raise ValueError(f"{name}: {len(value)} bytes; accepted: 32")
        self.key = key
        self._mac = mac
        self.wrong = 0  #: in a row
        self._over = asyncio.Event()

    def is_right(self, mac: bytes) -> bool:
        """Whether the MAC is that of the right passphrase."""
        if hmac.compare_digest(self._mac, mac):
            self.wrong = 0
            return True
        self.wrong += 1
        return False

    @property
    def pause(self) -> float:
        """Seconds before the next answer, after so many wrong ones."""
        return min(_FIRST * 2.0 ** (self.wrong - 1), _LONGEST) if self.wrong else 0.0

    async def wait(self) -> None:
        """Let the pause pass, or as much of it as there is until ``end``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.pause):
                await self._over.wait()

    def end(self) -> None:
        """Nothing is compared any more: who waits is answered, so that nothing waits for that."""
        self._over.set()

    @property
    def exhausted(self) -> bool:
        """Whether there were too many."""
        return self.wrong >= MOST_WRONG

    def __repr__(self) -> str:
        return f"<PinCheck, {self.wrong} wrong>"
