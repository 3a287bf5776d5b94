"""Answers of a device that the agent gives again for a while, instead of asking anew."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hem_provider.device.relay import Reply
from hem_provider.records import frozen

__all__ = ["GOOD_FOR", "Answers", "is_kept"]

#: Seconds for which an answer is given again.
GOOD_FOR = 30.0
#: Bytes of bodies that are kept.
_MOST = 4 * 1024 * 1024
#: Answers that are kept, and characters of what was asked for; no program of ours asks for more.
_MOST_ANSWERS, _LONGEST_QUESTION = 1024, 2000
#: Beginnings of what is kept: what lists keys and what tells who the device is.
_KEPT = (("GET", "/api/keymgmt/list/"), ("POST", "/api/keymgmt/search"), ("GET", "/api/auth/token"))

_Key = tuple[str, str, str, tuple[str, ...]]


@frozen
class _Kept:
    reply: Reply
    since: float


class Answers:
    """Of one device. Whoever changes something on it calls ``forget``."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._kept: dict[_Key, _Kept] = {}
        self._size = 0
        self._changes = 0

    @property
    def changes(self) -> int:
        """How often all was forgotten: an answer that was asked for before the last time is not kept."""
        return self._changes

    def find(
        self, method: str, path: str, body: Mapping[str, Any] | None, scopes: Sequence[str]
    ) -> tuple[Reply, int] | None:
        """An answer given lately, and its age in seconds."""
        if not is_kept(method, path):
            return None
        key = _key(method, path, body, scopes)
        kept = self._kept.get(key)
        if kept is None:
            return None
        age = self._now() - kept.since
        if age < GOOD_FOR:
            return kept.reply, int(age)
        self._drop(key)
        return None

    def keep(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        scopes: Sequence[str],
        reply: Reply,
        changes: int,
    ) -> None:
        """Keep a good answer of the kinds that are kept; ``changes``: as it was when it was asked for."""
        if reply.status != 200 or changes != self._changes or not is_kept(method, path):
            return
        key = _key(method, path, body, scopes)
        if sum(map(len, (*key[:3], *key[3]))) > _LONGEST_QUESTION:
            return
        self._drop(key)
        while self._kept and (self._size + len(reply.body) > _MOST or len(self._kept) >= _MOST_ANSWERS):
            self._drop(next(iter(self._kept)))
        self._kept[key] = _Kept(reply, self._now())
        self._size += len(reply.body)

    def forget(self) -> None:
        """Something has changed."""
        self._kept, self._size, self._changes = {}, 0, self._changes + 1

    def _drop(self, key: _Key) -> None:
        gone = self._kept.pop(key, None)
        if gone is not None:
            self._size -= len(gone.reply.body)


def is_kept(method: str, path: str) -> bool:
    """Whether answers to such requests are kept."""
    return any(method == each and path.startswith(beginning) for each, beginning in _KEPT)


def _key(method: str, path: str, body: Mapping[str, Any] | None, scopes: Sequence[str]) -> _Key:
    return method, path, repr(sorted((body or {}).items())), tuple(scopes)
