"""The keys on one device, as a collection that fetches its pages when they are needed.

What was listed is kept in memory until ``refresh()``; creating and deleting here update it. A
listing costs one call per 15 keys.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hem_provider.description import PREFIX, Description
from hem_provider.errors import (
    HemAuthenticationError,
    HemConnectionError,
    HemKeyAmbiguous,
    HemKeyNotFound,
    HemTimeout,
    HemUnreachable,
)
from hem_provider.key import Key
from hem_provider.keytypes import KEY_TYPES, Family, KeyType, parse_attributes
from hem_provider.operations import Operations
from hem_provider.rest.api import RestApi
from hem_provider.rest.keymgmt import KeyRecord, Page, check_kid, check_label
from hem_provider.rest.perprocess import PerProcess
from hem_provider.rest.session import LoginSession
from hem_provider.rest.wire import ConnectionLostError
from hem_provider.usage import default_usage, device_mode, mode_families

__all__ = ["KeyInventory"]

_log = logging.getLogger("hem_provider.device")

_LIST = ("keymgmt:list",)
_SEARCH = ("keymgmt:list", "keymgmt:search")
_GENERATE = ("keymgmt:gen",)
_DELETE = ("keymgmt:del",)


class KeyInventory:
    """``hem.keys``. Iterating, ``len`` and ``in`` list the device as far as needed.

    Records that are not application keys (TLS material, paired authenticators) are left out
    unless the configuration's ``show_hidden`` asks for them; ``get`` finds them always.
    """

    def __init__(self, rest: RestApi, session: LoginSession, operations: Operations) -> None:
        self._rest = rest
        self._operations = operations
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
        key_type = _known_type(type)
        check_label(label)
        wanted = default_usage(key_type) if usage is None else frozenset(usage)
        mode = device_mode(key_type, wanted)  # refuses what the type cannot do
        description = Description(application_id=application_id, families=mode_families(key_type, wanted))
        descr = description.pack()

        def make(token: str) -> str:
            return self._rest.keymgmt.create(type=type, label=label, mode=mode, descr=descr, token=token)

        try:
            kid = self._session.authorised(_GENERATE, make)
        except (ConnectionLostError, HemTimeout) as lost:
            return self._recover_created(description, lost)
        attributes = parse_attributes(",".join(_created_tokens(key_type, mode)))
        with self._lock.get():
            key = self._keys[kid] = self._new(kid, label=label, descr=descr, attributes=attributes)
            if kid not in self._order:
                self._order.append(kid)
            return key

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
            _known_type(type)
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

    def _search_token(self, descr: bytes) -> Page:
        def look(token: str | None) -> Page:
            return self._rest.keymgmt.search(descr, ends=True, token=token)

        if self._session.holds(_SEARCH):
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
        offset = self._next or 0
        page = self._session.authorised(_LIST, lambda token: self._rest.keymgmt.list(offset, token=token))
        self._absorb(page, listed=True)
        self._next = page.next

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

    def _recover_created(self, description: Description, lost: HemConnectionError) -> Key:
        """Find the key whose creation's answer was lost, by its mark."""
        _log.warning("%s; looking whether the key was made", lost)
        prefix = description.search_prefix()
        try:
            page = self._session.authorised(
                _SEARCH, lambda token: self._rest.keymgmt.search(prefix, token=token)
            )
        except (HemConnectionError, HemAuthenticationError) as error:
            raise type(lost)(
                f"{lost}; whether the key was made is unknown ({error}): when the device is back, look for "
                f"the creation mark {description.mark.hex()} before making it again"
            ) from lost
        if not page.records:
            if isinstance(lost, HemTimeout):
                raise HemTimeout(f"{lost}; no key was made so far (mark {description.mark.hex()})") from lost
            raise HemUnreachable(f"{lost}; no key was made") from lost
        key = self._absorb(page, listed=self._next is None)[0]
        _log.info("%s: the key was made: %s", self._name, key.kid)
        return key


def _known_type(name: str) -> KeyType:
    try:
        return KEY_TYPES[name]
    except KeyError:
        raise ValueError(f"type: {name!r}; accepted: {', '.join(KEY_TYPES)}") from None


def _matches(key: Key, label: str | None, type: str | None, application_id: bytes | None) -> bool:
    return (
        (label is None or key.label == label)
        and (type is None or (key.attributes.key_type is not None and key.type.name == type))
        and (application_id is None or key.application_id == application_id)
    )


def _created_tokens(key_type: KeyType, mode: str | None) -> Sequence[str]:
    """The type string a listing will show for a key made with ``mode`` (device API §11.1)."""
    if key_type.symmetric:
        return ("ATT", key_type.name)
    fixed = {
        Family.EDWARDS: "ExDSA",
        Family.MONTGOMERY: "ECDH",
        Family.MLKEM: "PQC",
        Family.MLDSA: "PQC",
    }
    operations = (mode or "ECDH").split(",") if key_type.family is Family.EC else [fixed[key_type.family]]
    return ("ATT", "PKEY", *operations, key_type.name)
