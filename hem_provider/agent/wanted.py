"""What a client wants of a device, and why it may have to be told that the device is locked."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from hem_provider.records import field, frozen

__all__ = ["LockedError", "Wanted"]


class LockedError(Exception):
    """The device is locked here; the text says why."""


@frozen
class Wanted:
    """A client's request. ``within``: seconds that it has, from ``since`` (monotonic) on.
    ``fresh``: not from memory. ``watching``: nothing is unlocked for it."""

    method: str
    path: str
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    scopes: tuple[str, ...] = ()
    within: float = 60.0
    repeatable: bool = False
    fresh: bool = False
    watching: bool = False
    since: float = field(default_factory=time.monotonic)

    def left(self) -> float:
        """Seconds that are left. ``TimeoutError`` when none are."""
        left = self.since + self.within - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left
