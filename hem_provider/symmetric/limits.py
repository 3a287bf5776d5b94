"""How much a key's device takes at once, and how many calls one operation over bulk data may make.

A chained mode costs one call for each 16 bytes: 4 MiB of CBC would keep a device busy for 18 hours.
Both are the device's: its firmware's limits, and the setting ``max_calls``, which is checked before the
first call. Keys that are on no device take what firmware 1.2.2 takes, as often as they are asked.
"""

from __future__ import annotations

from hem_provider.config import FIRMWARE_1_2_2
from hem_provider.errors import MessageTooLong
from hem_provider.symmetric.blocks import BLOCK, AesKey

__all__ = ["Calls", "call_limit", "call_size", "message_limit"]


def message_limit(key: object) -> int:
    """The most bytes that one operation with ``key`` takes (device API §13.1)."""
    limit: int = getattr(key, "max_message", FIRMWARE_1_2_2.message)
    return limit


def call_size(key: AesKey) -> int:
    """The bytes of whole blocks that one call with ``key`` takes."""
    limit = message_limit(key)
    return limit - limit % BLOCK


def call_limit(key: AesKey) -> int | None:
    """The most calls that one operation with ``key`` may make; ``None`` for any number."""
    limit: int | None = getattr(key, "max_calls", None)
    return limit


class Calls:
    """The calls of one operation. ``each``: bytes that one call serves."""

    def __init__(self, key: AesKey, what: str, each: int) -> None:
        self._limit = call_limit(key)
        self._what = what
        self._each = each
        self._made = 0

    def check(self, size: int) -> int:
        """The calls that ``size`` bytes more cost. Raises ``MessageTooLong`` when the operation would
        then have made more than it may; none of them is made."""
        calls = -(-size // self._each)
        total = self._made + calls
        if self._limit is not None and total > self._limit:
            raise MessageTooLong(
                f"{self._what} of this much data with a key in the device is {total} calls to it, and its "
                f"max_calls permits {self._limit}, {self._limit * self._each} bytes: encrypt bulk data here "
                "with a data key that the device seals or wraps, or raise max_calls",
                size=self._made * self._each + size,
                limit=self._limit * self._each,
            )
        return calls

    def made(self, calls: int = 1) -> None:
        """Count calls that were made."""
        self._made += calls
