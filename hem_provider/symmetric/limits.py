"""How many device calls one operation over bulk data may make, checked before it makes them.

A chained mode costs one call for each 16 bytes: 4 MiB of CBC would keep a device busy for 18 hours.
The limit is the device's setting ``max_calls``; keys that are on no device have none.
"""

from __future__ import annotations

from hem_provider.errors import MessageTooLong
from hem_provider.symmetric.blocks import AesKey

__all__ = ["Calls", "call_limit"]


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
