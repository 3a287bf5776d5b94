"""Objects of a slot: key pairs of the device as Cryptoki objects, with handles that stay.

A pair is a private and a public object of one KID. A handle belongs to (KID, class) for as long
as the process knows the key, so that a key that is listed again keeps its handle.
"""

from __future__ import annotations

import fnmatch
import itertools
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hem_pkcs11.attributes import COSTLY, attribute
from hem_pkcs11.constants import CKO, CKR
from hem_pkcs11.kinds import KINDS, Kind
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import Attribute

if TYPE_CHECKING:
    from hem_provider.key import Key

__all__ = ["KeyObject", "ObjectTable", "shown"]

_ORDER = {name: position for position, name in enumerate(KINDS)}
_handles = itertools.count(1)  # one sequence for all slots: next() is atomic


@dataclass(slots=True, eq=False)
class KeyObject:
    """One half of a key pair. ``owner``: the session whose end destroys it, ``None`` for a token
    object."""

    handle: int
    object_class: CKO
    key: Key
    kind: Kind
    owner: int | None = None

    @property
    def private(self) -> bool:
        return self.object_class != CKO.PUBLIC_KEY

    def matches(self, template: Sequence[Attribute]) -> bool:
        """Whether every attribute of ``template`` is there with that very value."""
        try:
            return all(attribute(self, kind) == value for kind, value in _cheap_first(template))
        except Pkcs11Error:
            return False

    def describe(self) -> str:
        """For messages: which key this is."""
        return f"key {self.key.label!r} (KID {self.key.kid})"


def _cheap_first(template: Sequence[Attribute]) -> list[Attribute]:
    return sorted(template, key=lambda row: row[0] in COSTLY)


def shown(key: Key, filters: tuple[str, ...], *, hidden: bool) -> bool:
    """Whether the module shows ``key`` at all: of a type it knows, not hidden, and let through by
    the configured label patterns (``key_filter``)."""
    if key.attributes.key_type is None or (key.hidden and not hidden):
        return False
    return not filters or any(fnmatch.fnmatchcase(key.label, each) for each in filters)


def _classes(key: Key) -> Iterator[CKO]:
    if not key.type.symmetric:
        if key.attributes.private:
            yield CKO.PRIVATE_KEY
        yield CKO.PUBLIC_KEY


class ObjectTable:
    """The objects of one slot. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_handle: dict[int, KeyObject] = {}
        self._by_key: dict[tuple[str, CKO], KeyObject] = {}

    def update(self, keys: Iterable[Key], *, complete: bool) -> None:
        """Take over what the device lists; ``complete`` drops what it no longer lists."""
        with self._lock:
            listed = set()
            for key in keys:
                listed.add(key.kid)
                self._add(key, None)
            if complete:
                for gone in [each for each in self._by_handle.values() if each.key.kid not in listed]:
                    self._remove(gone)

    def add(self, key: Key, owner: int | None) -> dict[CKO, KeyObject]:
        """The objects of a key just made, by class."""
        with self._lock:
            return self._add(key, owner)

    def _add(self, key: Key, owner: int | None) -> dict[CKO, KeyObject]:
        added = {}
        for object_class in _classes(key):
            item = self._by_key.get((key.kid, object_class))
            if item is None:
                item = KeyObject(next(_handles), object_class, key, KINDS[key.type.name], owner)
                self._by_key[key.kid, object_class] = item
                self._by_handle[item.handle] = item
            elif (item.key.label, item.key.descr) != (key.label, key.descr):
                item.key = key  # otherwise the old one, which may know its public half already
            added[object_class] = item
        return added

    def _remove(self, item: KeyObject) -> None:
        self._by_handle.pop(item.handle, None)
        self._by_key.pop((item.key.kid, item.object_class), None)

    def remove_key(self, kid: str) -> None:
        """Both halves are gone."""
        with self._lock:
            for item in [each for each in self._by_handle.values() if each.key.kid == kid]:
                self._remove(item)

    def owned_by(self, session: int) -> list[Key]:
        """The keys that end with a session."""
        with self._lock:
            found = {each.key.kid: each.key for each in self._by_handle.values() if each.owner == session}
        return list(found.values())

    def get(self, handle: int, *, private: bool, bad: CKR = CKR.OBJECT_HANDLE_INVALID) -> KeyObject:
        """The object of ``handle``; ``private``: whether the caller may see private ones.

        Raises ``bad``.
        """
        item = self._by_handle.get(handle)
        if item is None or (item.private and not private):
            raise Pkcs11Error(bad, f"there is no object with handle {handle}")
        return item

    def find(self, template: Sequence[Attribute], *, private: bool) -> list[KeyObject]:
        """What matches, EC keys first, private halves before public ones of the same type."""
        with self._lock:
            candidates = list(self._by_handle.values())
        found = [each for each in candidates if (private or not each.private) and each.matches(template)]
        return sorted(found, key=_position)


def _position(item: KeyObject) -> tuple[int, int, int]:
    return _ORDER[item.kind.type.name], -item.object_class, item.handle
