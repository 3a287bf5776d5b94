"""Tokens in memory: by exact scope, with expiry in the device's clock (device API §20.2)."""

from __future__ import annotations

import time
from collections.abc import Iterable

from hem_provider.records import frozen
from hem_provider.rest.auth import Bearer

__all__ = ["EARLY", "TokenCache"]

#: A token counts as expired this many seconds early.
EARLY = 60


@frozen
class _Entry:
    bearer: Bearer
    deadline: float  # local monotonic seconds


class TokenCache:
    """Plain storage; whoever logs in keeps two from doing it at once."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._spk = ""

    def find(self, scopes: Iterable[str]) -> Bearer | None:
        """A live token for one of ``scopes``, the first that has one."""
        now = time.monotonic()
        for scope in scopes:
            entry = self._entries.get(scope)
            if entry is not None and entry.deadline > now:
                return entry.bearer
        return None

    def add(self, bearer: Bearer, device_time: int) -> None:
        """Keep a token issued when the device's clock said ``device_time`` (Unix seconds)."""
        left = bearer.exp - device_time
        # A short life is not all slack: a 60-second token would never be used.
        early = min(EARLY, left / 4)
        self._entries[bearer.scope] = _Entry(bearer, time.monotonic() + left - early)

    def seen_boot(self, spk: str) -> None:
        """The device's present boot session: a new one makes all older tokens worthless."""
        if spk != self._spk:
            self._entries = {}
            self._spk = spk

    def drop(self, bearer: Bearer) -> None:
        """Forget one token, if it is still the one kept."""
        entry = self._entries.get(bearer.scope)
        if entry is not None and entry.bearer is bearer:
            self._entries.pop(bearer.scope, None)

    def clear(self) -> None:
        """Forget all."""
        self._entries = {}
