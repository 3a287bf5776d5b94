"""The table of all objects of a slot, with handles that stay.

A key pair is a private and a public object of one KID. A handle belongs to (KID, class) for as
long as the process knows the key, so that a key that is listed again keeps its handle.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from hem_pkcs11.constants import CKA, CKO, CKR
from hem_pkcs11.keykinds import KINDS
from hem_pkcs11.objects.device_keys import DeviceKey, kid_of_info
from hem_pkcs11.objects.object import Pkcs11Object
from hem_pkcs11.objects.stored import StoredObject
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import Attribute

if TYPE_CHECKING:
    from hem_provider.device.key import Key

__all__ = ["ObjectTable"]

_ORDER = {name: position for position, name in enumerate(KINDS)}
_handles = itertools.count(1)  # one sequence for all slots: next() is atomic
ObjectT = TypeVar("ObjectT", bound=Pkcs11Object)


def _classes(key: Key) -> Iterator[CKO]:
    if key.type.symmetric:
        yield CKO.SECRET_KEY
        return
    if key.attributes.private:
        yield CKO.PRIVATE_KEY
    yield CKO.PUBLIC_KEY


class ObjectTable:
    """The objects of one slot. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: dict[int, Pkcs11Object] = {}
        self._keys: dict[tuple[str, CKO], DeviceKey] = {}

    def update(self, keys: Iterable[Key], *, complete: bool) -> None:
        """Take over what the device lists; ``complete`` drops what it no longer lists."""
        with self._lock:
            listed = set()
            for key in keys:
                listed.add(key.kid)
                self._add_key(key, None)
            if complete:
                for gone in [each for each in self._keys.values() if each.key.kid not in listed]:
                    self._remove(gone)

    def add_key(self, key: Key, owner: int | None) -> dict[CKO, DeviceKey]:
        """The objects of a key just made, by class."""
        with self._lock:
            return self._add_key(key, owner)

    def _add_key(self, key: Key, owner: int | None) -> dict[CKO, DeviceKey]:
        added = {}
        for object_class in _classes(key):
            item = self._keys.get((key.kid, object_class))
            if item is None:
                item = DeviceKey(object_class, key, owner)
                self._keys[key.kid, object_class] = item
                self._add(item)
            elif (item.key.label, item.key.descr) != (key.label, key.descr):
                item.key = key  # otherwise the old one, which may know its public half already
            added[object_class] = item
        return added

    def add(self, item: ObjectT) -> ObjectT:
        """Take in an object of another kind; it gets its handle."""
        if isinstance(item, StoredObject):
            item.key_id = self.key_id
        with self._lock:
            self._add(item)
        return item

    def _add(self, item: Pkcs11Object) -> None:
        item.handle = next(_handles)
        self._items[item.handle] = item

    def remove(self, item: Pkcs11Object) -> None:
        """The object is gone; of a key in the device both halves are."""
        with self._lock:
            if isinstance(item, DeviceKey) and not self._is_alias(item):
                for half in self._halves(item.key.kid):
                    self._remove(half)
            else:
                self._remove(item)

    def _halves(self, kid: str) -> list[DeviceKey]:
        return [each for each in self._items.values() if isinstance(each, DeviceKey) and each.key.kid == kid]

    def is_alias(self, item: Pkcs11Object) -> bool:
        """Whether ``item`` is a session's view of a key that has since become one of the token:
        its end is not the key's end."""
        with self._lock:
            return isinstance(item, DeviceKey) and self._is_alias(item)

    def _is_alias(self, item: DeviceKey) -> bool:
        return item.owner is not None and any(each.owner is None for each in self._halves(item.key.kid))

    def promote(self, item: DeviceKey) -> DeviceKey:
        """Make a session pair one of the token: new objects; the session's stay until it ends."""
        with self._lock:
            for each in self._halves(item.key.kid):
                twin = DeviceKey(each.object_class, each.key)
                self._keys[each.key.kid, each.object_class] = twin
                self._add(twin)
            return self._keys[item.key.kid, item.object_class]

    def key_id(self, public_key_info: bytes) -> bytes | None:
        """CKA_ID of the key in the device with that public key (SubjectPublicKeyInfo), if it is known."""
        kid = kid_of_info(public_key_info)
        item = self._keys.get((kid, CKO.PUBLIC_KEY)) if kid is not None else None
        return item.attribute(CKA.ID) if item is not None else None

    def _remove(self, item: Pkcs11Object) -> None:
        self._items.pop(item.handle, None)
        if isinstance(item, DeviceKey) and self._keys.get((item.key.kid, item.object_class)) is item:
            self._keys.pop((item.key.kid, item.object_class))
        item.close()

    def clear(self, *, private_only: bool = False, session_only: bool = False) -> None:
        """Drop objects without touching the device."""
        with self._lock:
            for item in list(self._items.values()):
                if (item.private or not private_only) and (item.owner is not None or not session_only):
                    self._remove(item)

    def overwrite(self) -> None:
        """Overwrite every secret, whoever holds it, taking no lock: in a forked child."""
        for item in self._items.values():
            item.overwrite()

    def owned_by(self, session: int) -> list[Pkcs11Object]:
        """The objects that end with a session; of a pair one half."""
        with self._lock:
            found = [each for each in self._items.values() if each.owner == session]
        pairs = {each.key.kid: each for each in found if isinstance(each, DeviceKey)}
        return [*pairs.values(), *(each for each in found if not isinstance(each, DeviceKey))]

    def get(self, handle: int, *, private: bool, bad: CKR = CKR.OBJECT_HANDLE_INVALID) -> Pkcs11Object:
        """The object of ``handle``; ``private``: whether the caller may see private ones.

        Raises ``bad``.
        """
        item = self._items.get(handle)
        if item is None or (item.private and not private):
            raise Pkcs11Error(bad, f"there is no object with handle {handle}")
        return item

    def find(self, template: Sequence[Attribute], *, private: bool) -> list[Pkcs11Object]:
        """What matches, EC keys first, private halves before public ones of the same type."""
        with self._lock:
            candidates = list(self._items.values())
        named = any(kind == CKA.CLASS for kind, _ in template)
        found = [
            each
            for each in candidates
            if (private or not each.private) and (named or not each.by_class_only) and each.matches(template)
        ]
        return sorted(found, key=_position)


def _position(item: Pkcs11Object) -> tuple[int, int, int]:
    if isinstance(item, DeviceKey):
        return _ORDER[item.kind.type.name], -item.object_class, item.handle
    return len(_ORDER), -item.object_class, item.handle
