"""The keys on one device, as a collection that fetches its pages when they are needed.

What was listed is kept in memory until ``refresh()``; creating and deleting here update it. A
listing costs one call per 15 keys.
"""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from hem_provider.description import PREFIX, Description, parse_description
from hem_provider.errors import HemAuthenticationError, HemKeyAmbiguous, HemKeyNotFound
from hem_provider.key import Key
from hem_provider.keytypes import parse_attributes
from hem_provider.making import KeyMaker, NewKey, key_type_named
from hem_provider.operations import Operations
from hem_provider.rest.api import RestApi
from hem_provider.rest.keymgmt import KeyRecord, Page, check_kid, check_label
from hem_provider.rest.perprocess import PerProcess
from hem_provider.rest.session import LoginSession
from hem_provider.rest.wire import ConnectionLostError

__all__ = ["KeyInventory"]

_log = logging.getLogger("hem_provider.device")

_LIST = ("keymgmt:list",)
_SEARCH = ("keymgmt:list", "keymgmt:search")
_UPDATE = ("keymgmt:upd",)
_DELETE = ("keymgmt:del",)


class KeyInventory:
    """``hem.keys``. Iterating, ``len`` and ``in`` list the device as far as needed.

    Records that are not application keys (TLS material, paired authenticators) are left out
    unless the configuration's ``show_hidden`` asks for them; ``get`` finds them always.
    """

    def __init__(self, rest: RestApi, session: LoginSession, operations: Operations) -> None:
        self._rest = rest
        self._operations = operations
        self._maker = KeyMaker(rest, session)
        self._session = session
        self._show_hidden = rest.channel.config.show_hidden
        self._lock: PerProcess[threading.RLock] = PerProcess(threading.RLock)
        self._keys: dict[str, Key] = {}
        self._order: list[str] = []
        self._next: int | None = 0  # where the listing goes on; None when it is complete

    def create(
        self, type: str, *, label: str, usage: Iterable[str] | None = None, application_id: bytes = b""
    ) -> Key:
        """Make a key on the device; its private half never leaves it.

        ``usage``: of ``sign``, ``derive``, ``aead``, ``cipher``, ``wrap``, ``mac``; by default all
        the type can do, for AES ``aead`` alone. ``label``: 1–32 printable ASCII characters.
        ``application_id``: up to 40 bytes of the application's own. ``ValueError`` for any other.

        A lost reply never makes a second key: the new key is looked up by its random mark. When
        even that is impossible, the connection error says which mark to look for.
        """
        return self._made(self._maker.create(type, label, usage, application_id))

    def derive(
        self,
        key: Key | str,
        peer: object,
        *,
        type: str,
        label: str,
        usage: Iterable[str] | None = None,
        application_id: bytes = b"",
    ) -> Key:
        """Make a key on the device from an agreement of ``key`` with ``peer``: a ``Key``, a KID, or a
        native public key of the same curve.

        The same input gives the same key, so that a second call fails (``HemOperationFailed``);
        nobody outside the device can compute it (device API §11.11). Other values as ``create``.
        """
        kid = check_kid(key if isinstance(key, str) else key.kid)
        if isinstance(peer, Key):
            other: bytes | str = peer.kid
        else:
            other = check_kid(peer) if isinstance(peer, str) else _device_form(peer)[1]
        return self._made(self._maker.derive(kid, other, type, label, usage, application_id))

    def import_public(
        self, public: object, *, label: str, usage: Iterable[str] | None = None, application_id: bytes = b""
    ) -> Key:
        """Store a native public key on the device, to be named as a peer or to verify there. For
        types ``cryptography`` lacks give ``(type, bytes)`` in device form.

        ``HemDuplicateKey`` when it is stored already. Private keys cannot be imported.
        """
        name, data = public if isinstance(public, tuple) else _device_form(public)
        key = self._made(self._maker.import_public(name, data, label, usage, application_id))
        key.learn_public(data)
        return key

    def update(self, key: Key | str, *, label: str | None = None, application_id: bytes | None = None) -> Key:
        """Change a key's label or the application's own id; what is not given stays.

        The device rewrites the whole record, so it is read afresh and written back: nothing in
        ``descr`` is lost. Giving an id to a key whose ``descr`` is another application's is a
        ``ValueError``.
        """
        known = self.get(key) if isinstance(key, str) else key
        if label is not None:
            check_label(label)
        self._reread(known)
        descr = known.descr
        if application_id is not None:
            present = parse_description(descr)
            if present is None and descr:
                raise ValueError(f"key {known.kid}: its descr ({len(descr)} bytes) is another application's")
            descr = replace(present or Description(), application_id=application_id).pack()
        text = known.label if label is None else label
        self._session.authorised(
            _UPDATE, lambda token: self._rest.keymgmt.update(known.kid, label=text, descr=descr, token=token)
        )
        known.renamed(text, descr)
        return known

    def get(self, kid: str) -> Key:
        """The key with this KID. One call when it was not listed yet and a token is at hand.

        ``HemKeyNotFound`` when there is none; ``ValueError`` unless it is 32 hex digits.
        """
        kid = check_kid(kid)
        known = self._keys.get(kid)
        if known is not None:
            return known
        if self._next is not None and not self._session.holds(_LIST):
            material = self._operations.fetch(kid)
            return self._keys.setdefault(kid, self._new(kid, material=material))
        for each in self._walk():
            if each.kid == kid:
                return each
        raise HemKeyNotFound(f"{self._name}: no key {kid}")

    def find(
        self, *, label: str | None = None, type: str | None = None, application_id: bytes | None = None
    ) -> Key:
        """The one key that matches all that is given.

        ``HemKeyNotFound`` for none, ``HemKeyAmbiguous`` naming the KIDs for several.
        """
        found = self.search(label=label, type=type, application_id=application_id)
        wanted = ", ".join(
            f"{name} {value!r}"
            for name, value in (("label", label), ("type", type), ("application id", application_id))
            if value is not None
        )
        if not found:
            raise HemKeyNotFound(f"{self._name}: no key with {wanted or 'any name'}")
        if len(found) > 1:
            kids = ", ".join(each.kid for each in found)
            raise HemKeyAmbiguous(f"{self._name}: {len(found)} keys with {wanted}: {kids}")
        return found[0]

    def search(
        self, *, label: str | None = None, type: str | None = None, application_id: bytes | None = None
    ) -> list[Key]:
        """All keys that match all that is given."""
        if type is not None:
            key_type_named(type)
        return [each for each in self if _matches(each, label, type, application_id)]

    def search_anonymous(self) -> list[Key]:
        """Keys made by this package, found without a login: one call per 15 keys.

        ``HemLoginRequired`` when the device's configuration does not allow it.
        """
        found: list[Key] = []
        offset: int | None = 0
        while offset is not None:
            page = self._rest.keymgmt.search(PREFIX, offset=offset, token=None)
            found += self._absorb(page)
            offset = page.next
        return found

    def delete(self, key: Key | str) -> None:
        """Destroy a key, for good. ``HemKeyNotFound`` when there is none."""
        kid = check_kid(key if isinstance(key, str) else key.kid)

        def destroy(token: str) -> None:
            try:
                self._rest.keymgmt.delete(kid, token=token)
            except ConnectionLostError as lost:
                _log.info("%s; asked once more", lost)
                try:
                    self._rest.keymgmt.delete(kid, token=token)
                except HemKeyNotFound:
                    return  # the lost request had done it

        try:
            self._session.authorised(_DELETE, destroy)
        finally:
            self._forget(kid)

    def refresh(self) -> None:
        """Forget what was listed; the next use asks the device."""
        with self._lock.get():
            self._keys, self._order, self._next = {}, [], 0

    def __iter__(self) -> Iterator[Key]:
        return (each for each in self._walk() if self._show_hidden or not each.hidden)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, kid: object) -> bool:
        if isinstance(kid, Key):
            kid = kid.kid
        return isinstance(kid, str) and any(each.kid == kid.lower() for each in self._walk())

    def __repr__(self) -> str:
        return f"<KeyInventory of {self._name}>"

    @property
    def _name(self) -> str:
        return self._rest.channel.config.name

    def complete(self, key: Key) -> None:
        """Read a key's record from the listing or by its mark, for a key known by KID alone."""
        if key.known_descr:
            try:
                page = self._search_token(key.known_descr)
            except HemAuthenticationError:
                page = Page((), 0, 0)
            self._absorb(page)
            if any(record.kid == key.kid for record in page.records):
                return
        for each in self._walk():
            if each.kid == key.kid:
                return
        raise HemKeyNotFound(f"{self._name}: no key {key.kid}; it was deleted")

    def _search_token(self, descr: bytes, *, logged_in: bool = False) -> Page:
        def look(token: str | None) -> Page:
            return self._rest.keymgmt.search(descr, ends=True, token=token)

        if logged_in or self._session.holds(_SEARCH):
            return self._session.authorised(_SEARCH, look)
        return look(None)

    def _walk(self) -> Iterator[Key]:
        """All records in storage order, fetching a page whenever the known ones are used up."""
        place = 0
        while True:
            with self._lock.get():
                if place >= len(self._order):
                    if self._next is None:
                        return
                    self._fetch_page()
                    continue
                key = self._keys.get(self._order[place])
            place += 1
            if key is not None:
                yield key

    def _fetch_page(self) -> None:
        page = self._list_page(self._next or 0)
        self._absorb(page, listed=True)
        self._next = page.next

    def _list_page(self, offset: int) -> Page:
        return self._session.authorised(_LIST, lambda token: self._rest.keymgmt.list(offset, token=token))

    def _absorb(self, page: Page, *, listed: bool = False) -> list[Key]:
        with self._lock.get():
            found = [self._learn(record) for record in page.records]
            if listed:
                known = set(self._order)
                self._order += [each.kid for each in found if each.kid not in known]
            return found

    def _new(self, kid: str, **known: Any) -> Key:
        return Key(self, self._operations, kid, **known)

    def _learn(self, record: KeyRecord) -> Key:
        key = self._keys.get(record.kid)
        if key is None:
            key = self._keys[record.kid] = self._new(record.kid)
        key.learn(record)
        return key

    def _forget(self, kid: str) -> None:
        with self._lock.get():
            if self._keys.pop(kid, None) is not None and kid in self._order:
                self._order.remove(kid)
                if self._next:
                    # Deleting shifts later records: list again rather than skip one.
                    self._order, self._next = [], 0

    def _made(self, new: NewKey) -> Key:
        with self._lock.get():
            if new.record is not None:
                key = self._learn(new.record)
            else:
                attributes = None if new.attributes is None else parse_attributes(new.attributes)
                key = self._new(new.kid, label=new.label, descr=new.descr, attributes=attributes)
                self._keys[new.kid] = key
            if new.kid not in self._order:
                self._order.append(new.kid)
            return key

    def _reread(self, key: Key) -> None:
        """Read a record afresh: another program may have changed it."""
        if key.descr:
            page = self._search_token(key.descr, logged_in=True)
            self._absorb(page)
            if any(record.kid == key.kid for record in page.records):
                return
        offset: int | None = 0
        while offset is not None:
            page = self._list_page(offset)
            self._absorb(page)
            if any(record.kid == key.kid for record in page.records):
                return
            offset = page.next
        self._forget(key.kid)
        raise HemKeyNotFound(f"{self._name}: no key {key.kid}; it was deleted")


def _device_form(public: object) -> tuple[str, bytes]:
    keys = importlib.import_module("hem_provider.keys")  # a layer above: known by name only
    return keys.type_of(public).name, keys.device_form(public)


def _matches(key: Key, label: str | None, type: str | None, application_id: bytes | None) -> bool:
    return (
        (label is None or key.label == label)
        and (type is None or (key.attributes.key_type is not None and key.type.name == type))
        and (application_id is None or key.application_id == application_id)
    )
