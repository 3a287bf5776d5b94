"""A key that was listed before, among so many that to list them again takes minutes.

A device says how many keys it has and where each stands, and nothing of what was changed: a key that got
another label shows in that key's own record and nowhere else (``tests/device/test_many_keys.py`` looks for
it). So what is remembered can be held against the device only key by key. Asked for are the keys that are
meant, whose labels and ids are those of now, and the keys that stand behind the last one that is remembered,
which were made since. An older key that somebody else gave the same label since then is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hem_provider.device.description import PREFIX
from hem_provider.device.key import Key
from hem_provider.device.listing import FEW, GLANCES, Listing
from hem_provider.device.pages import Course
from hem_provider.errors import HemAuthenticationError, HemDeviceFault, HemOperationFailed
from hem_provider.rest import keymgmt
from hem_provider.rest.call import Call
from hem_provider.rest.keymgmt import KeyRecord, Page

__all__ = ["ManyKeys"]

#: Pages of keys made since that are asked for; beyond them listing all has become worth its calls.
_MOST_PAGES = 8


class ManyKeys:
    """What ``KeyInventory`` asks where to list the device takes more than a few calls. ``shown``: whether the
    configuration shows a key."""

    def __init__(self, listing: Listing, shown: Callable[[Key], bool]) -> None:
        self._listing = listing
        self._shown = shown

    def find(self, wanted: Callable[[KeyRecord], bool]) -> list[Key]:
        """Keys that are ``wanted``, all of them as the device has them now. None where nothing is remembered
        or little, or where memory and device do not fit together: then all keys are to be listed."""
        records = self._listing.remembered_many()
        sought = [(place, each) for place, each in enumerate(records) if wanted(each)]
        if len(records) <= FEW or len(sought) > GLANCES:
            return []
        made = self._made_since(records)
        if made is None:
            return []
        there = [self._listing.glance(record, place) for place, record in sought]
        return [key for key in (*filter(None, there), *made) if self._is(key, wanted)]

    def _is(self, key: Key, wanted: Callable[[KeyRecord], bool]) -> bool:
        now = key.record()
        return now is not None and wanted(now) and self._shown(key)

    def _made_since(self, records: Sequence[KeyRecord]) -> list[Key] | None:
        """Keys behind the last that is remembered; without a login those made by this package. ``None`` where
        they cannot be told."""
        if not self._listing.costs_no_login:
            ours = [each for each in records if each.descr.startswith(PREFIX)]
            try:
                return self._behind(ours, lambda offset: keymgmt.search_anonymously(PREFIX, offset=offset))
            except (HemAuthenticationError, HemOperationFailed, HemDeviceFault):  # not allowed on this device
                pass
        return self._behind(records, keymgmt.list_keys)

    def _behind(self, known: Sequence[KeyRecord], ask: Callable[[int], Call[Page]]) -> list[Key] | None:
        places = {record.kid: place for place, record in enumerate(known)}
        course, made = Course(self._listing.device, places), dict[str, Key]()
        for _ in range(_MOST_PAGES):
            page = self._listing.ask(ask(course.next or 0))
            if course.take(page):
                found = self._listing.absorb(page)
                made.update((key.kid, key) for key in found if key.kid not in places)
                first = places.get(page.records[0].kid) if page.records else None
                if first is not None and first < page.offset:
                    return None  # keys were made before it: the device does not put new ones at the end
            if course.next is None:
                return list(made.values())
        return None
