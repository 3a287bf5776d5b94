"""The keys on one device, as a collection that fetches its pages when they are needed.

What was listed is kept in memory until ``refresh()``; creating and deleting here update it. A
listing costs one call for 15 keys and one for each 14 more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Literal

from hem_provider.arguments import as_bytes, as_text
from hem_provider.device.creation import KeyMaker
from hem_provider.device.criteria import criteria, identifies, matches, means
from hem_provider.device.description import (
    MAX_APPLICATION_ID,
    NO_LIMITS,
    Description,
    Limits,
    parse_description,
)
from hem_provider.device.key import Key
from hem_provider.device.listing import Listing
from hem_provider.device.login import LoginSession
from hem_provider.device.manykeys import ManyKeys
from hem_provider.device.operations import Operations
from hem_provider.device.ownkeys import OwnKeys
from hem_provider.device.toldkeys import told_of
from hem_provider.errors import (
    HemConnectionError,
    HemDeviceFault,
    HemKeyAmbiguous,
    HemKeyNotFound,
)
from hem_provider.keytypes import MAX_DESCR
from hem_provider.publickeys import device_form, type_of
from hem_provider.records import replace
from hem_provider.rest import keymgmt
from hem_provider.rest.keyfields import check_kid, check_label
from hem_provider.rest.keymgmt import KeyRecord, Page
from hem_provider.rest.settle import NOT_MADE, Change, NotMade

__all__ = ["KeyInventory"]

_SEE_LISTING = "list the device's keys when it is back"


class KeyInventory:
    """``hem.keys``. Iterating, ``len`` and ``in`` list the device as far as needed.

    Iterating, ``find`` and ``search`` leave out what the configuration says: records that are not
    application keys (TLS material, paired authenticators) without ``show_hidden``, and keys whose
    label no pattern of ``key_filter`` matches. ``get`` finds every key.

    What is listed through the user's agent may be up to 30 s old; a key that is not found so is looked for
    on the device. A listing that was interrupted goes on where it stood; one of more than 30 keys in another
    process too, within 5 minutes of its beginning: no key that is there is skipped, and what others changed
    meanwhile may be told as it was. ``refresh`` begins anew.
    """

    def __init__(self, session: LoginSession, operations: Operations) -> None:
        self._config = session.rest.channel.config
        self._operations = operations
        self._maker = KeyMaker(session)
        self._listing = Listing(session, operations)
        self._session = session
        self._own = OwnKeys(self._listing, self._shown, self._label_shown)
        self._many = ManyKeys(self._listing, self._shown)

    def create(
        self,
        type: str,
        *,
        label: str,
        usage: Iterable[str] | None = None,
        application_id: bytes = b"",
        limits: Limits = NO_LIMITS,
    ) -> Key:
        """Make a key on the device; its private half never leaves it.

        ``usage``: of ``sign``, ``derive``, ``aead``, ``cipher``, ``wrap``, ``mac``; by default all
        the type can do, for AES ``aead`` alone. ``label``: 1–32 printable ASCII characters.
        ``application_id``: up to 40 bytes of the application's own. ``limits``: what else it may not
        do. ``ValueError`` for any other.

        A lost or damaged reply never makes a second key: the new key is looked up by its random mark.
        When even that is impossible, ``HemOutcomeUnknown`` says which mark to look for.
        """
        with self._doubts_forget():
            return self._listing.add(self._maker.create(type, label, usage, application_id, limits))

    def derive(
        self,
        key: Key | str,
        peer: object,
        *,
        type: str,
        label: str,
        usage: Iterable[str] | None = None,
        application_id: bytes = b"",
        limits: Limits = NO_LIMITS,
    ) -> Key:
        """Make a key on the device from an agreement of ``key`` with ``peer``: a ``Key``, a KID, or a
        native public key of the same curve.

        The same input gives the same key, so that a second call fails (``HemOperationFailed``);
        nobody outside the device can compute it (device API §11.11). Other values as ``create``.
        """
        kid = _kid(key)
        if isinstance(peer, Key):
            other: bytes | str = peer.kid
        else:
            other = check_kid(peer) if isinstance(peer, str) else _device_form(peer)[1]
        with self._doubts_forget():
            return self._listing.add(
                self._maker.derive(kid, other, type, label, usage, application_id, limits)
            )

    def import_public(
        self,
        public: object,
        *,
        label: str,
        usage: Iterable[str] | None = None,
        application_id: bytes = b"",
        limits: Limits = NO_LIMITS,
    ) -> Key:
        """Store a native public key on the device, to be named as a peer or to verify there. For
        types ``cryptography`` lacks give ``(type, bytes)`` in device form.

        ``HemDuplicateKey`` when it is stored already. Private keys cannot be imported.
        """
        if isinstance(public, tuple):
            if len(public) != 2:
                raise TypeError(f"public: a tuple of {len(public)}; accepted: (type, bytes)")
            name, data = as_text("public: type", public[0]), as_bytes("public", public[1])
        else:
            name, data = _device_form(public)
        with self._doubts_forget():
            key = self._listing.add(
                self._maker.import_public(name, data, label, usage, application_id, limits)
            )
        key.learn_public(data)
        return key

    def update(self, key: Key | str, *, label: str | None = None, application_id: bytes | None = None) -> Key:
        """Change a key's label or the application's own id; what is not given stays.

        The device rewrites the whole record, so it is read afresh and written back: nothing in ``descr`` is
        lost. Giving an id to a key whose ``descr`` is another application's is a ``ValueError``.
        ``HemKeyNotFound`` when there is no such key.
        """
        known = key if isinstance(key, Key) else self.get(key)
        if label is not None:
            check_label(label)
        self._listing.complete(known)
        descr = known.descr
        if application_id is not None:
            present = parse_description(descr)
            if present is None and descr:
                raise ValueError(f"key {known.kid}: its descr ({len(descr)} bytes) is another application's")
            descr = replace(
                present or Description(), application_id=as_bytes("application_id", application_id)
            ).pack()
        text = known.label if label is None else label

        def look() -> Literal[NotMade.NOT_MADE] | None:
            record = self._listing.read(known.kid, descr)
            if record is None:
                raise HemKeyNotFound(f"{self._name}: no key {known.kid}; it was deleted")
            return None if (record.label, record.descr) == (text, descr) else NOT_MADE

        change = Change(
            "the key was changed", f"key {known.kid} is as it was", _SEE_LISTING, look, repeat=True
        )
        with self._doubts_forget(known):
            limits = self._session.rest.channel.limits
            self._session.run(keymgmt.update(known.kid, label=text, descr=descr, limits=limits), change)
        self._listing.changed()
        known.renamed(text, descr)
        return known

    def get(self, kid: str) -> Key:
        """The key with this KID. One call when it was not listed yet and a token is at hand; none
        when an earlier process listed it: then the device confirms it at its first use.

        ``HemKeyNotFound`` when there is none; ``ValueError`` unless it is 32 hex digits.
        """
        kid = check_kid(kid)
        known = self._listing.known(kid)
        if known is not None:
            return known
        for record in self._listing.cached():
            if record.kid == kid:
                return self._listing.recall(record)
        if not self._listing.at_hand:
            material = self._operations.fetch(kid)
            return self._listing.keep(self._listing.new(kid, material=material))
        found = self._listed(kid)
        if found is None:
            raise HemKeyNotFound(f"{self._name}: no key {kid}")
        return found

    def told_of(self, kid: str, type: str, public: bytes | None = None) -> Key:
        """The key with this KID, of which ``type`` and, for key pairs, its public half in device form are
        known from elsewhere, as from a file that names a key. No I/O but the disk's: whether it is there is
        known when it is used.

        ``ValueError`` for another type than the device's keys have, and for a public half that is none of
        the type, or not this key's.
        """
        return told_of(self._listing, check_kid(kid), type, public)

    def _listed(self, kid: str) -> Key | None:
        for each in self._listing.walk():
            if each.kid == kid:
                return each
        return self._listed(kid) if self._listing.renew() else None

    def find(
        self, *, label: str | None = None, type: str | None = None, application_id: bytes | None = None
    ) -> Key:
        """The one key that matches all that is given; ``TypeError`` when nothing is.

        ``HemKeyNotFound`` for none, ``HemKeyAmbiguous`` naming the KIDs for several. What is returned was on
        the device just now with this label and id.

        Where an earlier process has listed the device, an anonymous search of the keys made by this package
        takes the place of a login and a listing. Of more than 30 keys the device is asked for those that
        were listed by this name and for what was made since, two calls as a rule: a second key of the name
        is not seen where somebody on another machine gave it to an older key since then. ``refresh()``
        before has all keys listed.
        """
        given = criteria(label, type, application_id)
        if not any(value is not None for value in given.values()):
            raise TypeError(f"find: give at least one of {', '.join(given)}; list(hem.keys) gives all keys")
        found = self._own.find(label, type, application_id)
        if len(found) != 1 and (label is not None or application_id):
            found = self._many.find(lambda record: means(record, label, type, application_id)) or found
        if not found or (len(found) != 1 and not self._listing.is_long):
            found = self.search(label=label, type=type, application_id=application_id)
            if not (len(found) == 1 and self.stands(found[0])) and self._listing.renew():
                found = self.search(label=label, type=type, application_id=application_id)
        wanted = ", ".join(
            f"{name.replace('_', ' ')} {value!r}" for name, value in given.items() if value is not None
        )
        if not found:
            raise HemKeyNotFound(f"{self._name}: no key with {wanted}")
        if len(found) > 1:
            kids = ", ".join(each.kid for each in found)
            raise HemKeyAmbiguous(
                f"{self._name}: {len(found)} keys with {wanted}; name one by its KID: {kids}"
            )
        return found[0]

    def search(
        self, *, label: str | None = None, type: str | None = None, application_id: bytes | None = None
    ) -> list[Key]:
        """All keys that match all that is given; values as for ``find``. No key is no error.

        Among many keys an ``application_id`` is looked for by the device itself: one call for 15 keys found.
        """
        criteria(label, type, application_id)
        keys = self._identified(application_id) if application_id else self
        return [each for each in keys if matches(each, label, type, application_id)]

    def _identified(self, application_id: bytes) -> Iterable[Key]:
        """All keys that may have it, found by what their ``descr`` ends with."""
        if not self._listing.at_hand and not self._listing.is_long:
            next(iter(self), None)  # tells how many there are
        if not self._listing.is_long or len(application_id) > MAX_APPLICATION_ID:
            return self
        return self.search_described(ends=bytes([len(application_id)]) + application_id)

    def likely(self, *, label: str | None, identifier: bytes | None) -> list[Key]:
        """Keys of this label and of this id, the application's own or a KID: a few of many, which were asked
        for one by one as ``find`` does it, or none, and then it is for ``list`` to tell. For who looks for
        more than ``find`` can."""

        def wanted(record: KeyRecord) -> bool:
            named = identifier is None or bytes.fromhex(record.kid) == identifier
            return (label is None or record.label == label) and (
                named or (identifier is not None and identifies(record, identifier))
            )

        return self._many.find(wanted) if self._listing.is_long else []

    def search_described(self, *, starts: bytes = b"", ends: bytes = b"") -> list[Key]:
        """Keys whose ``descr`` begins, or ends, with these bytes, which the device itself looks for: one call
        for 15 keys found and one for each 14 more, however many there are.

        Give one of the two, of 1 to 64 bytes: ``ValueError`` otherwise.
        """
        needle = as_bytes("starts", starts) or as_bytes("ends", ends)
        if bool(starts) == bool(ends) or len(needle) > MAX_DESCR:
            raise ValueError(
                f"starts: {len(starts)} bytes, ends: {len(ends)}; accepted: one of them, of 1 to {MAX_DESCR}"
            )

        def page(offset: int) -> Page:
            call = keymgmt.search(needle, starts=bool(starts), ends=bool(ends), offset=offset)
            return self._listing.ask(call)

        return [each for each in self._listing.gather(page) if self._shown(each)]

    def recent(self) -> list[Key] | None:
        """All keys as the device listed them within the last 30 s, to whatever process of this user, none of
        which has changed a key since; ``None`` where that is not remembered.

        No I/O but the disk's: no login is needed, nor a device.
        """
        found = self._listing.recent()
        return None if found is None else [each for each in found if self._shown(each)]

    def remembered(
        self, *, label: str | None = None, kid: str | None = None, application_id: bytes | None = None
    ) -> list[Key]:
        """Keys as they were listed last, by whatever process: all that match one of what is given.

        No I/O but the disk's; empty where nothing is remembered of this very device. A hint:
        ``confirm`` asks the device, and using a key that is gone is a ``HemKeyNotFound``, after
        which nothing is remembered.
        """

        def wanted(record: KeyRecord) -> bool:
            if record.kid == kid or record.label == label:
                return True
            # Parsing thousands of descriptions takes longer than looking for the bytes.
            return application_id is not None and record.descr.endswith(application_id)

        # Who looks for a label wants to hear of other software's keys, too.
        own = [] if label is not None else self._listing.own(wanted) or []
        return [
            each
            for each in self._listing.remembered(wanted) or own
            if self._shown(each)
            and (each.kid == kid or each.label == label or each.application_id == application_id)
        ]

    def recalled(self) -> list[Key]:
        """All keys as they were listed last, by whatever process, also of a device that was not met yet: a
        hint, as ``remembered``. No I/O but the disk's."""
        return [each for each in self._listing.recalled() if self._shown(each)]

    @property
    def aged(self) -> bool:
        """Whether what was listed came from the memory of the user's agent, which is up to 30 s old, or in
        part from another process, which was interrupted within the last 5 minutes. No I/O."""
        return self._listing.aged

    def knows(self, key: Key) -> bool:
        """Whether ``key`` was met and not found missing since. No I/O."""
        return self._listing.known(key.kid) is not None

    def stands(self, key: Key) -> bool:
        """Whether the device has ``key`` as it was listed: asked for as ``confirm`` does it where another
        process listed it, which was interrupted."""
        return self._listing.stands(key)

    def confirm(self, key: Key) -> bool:
        """Whether the device has ``key`` with its label and id unchanged: one call as a rule. It is
        brought up to date."""
        return self._listing.confirm(key)

    def likely_scope(self) -> str:
        """The scope that a login made ahead of any need is best made for: what the last one turned
        out to be for. No I/O but the disk's where that is remembered.

        Else the device is asked for the keys made by this package (one call, no login): no token serves both
        to list and to use a key, so that with a single key the login for its use is the only one. As for
        any call, ``HemConnectionError``.
        """
        return self._own.likely_scope()

    def search_anonymous(self) -> list[Key]:
        """Keys made by this package, found without a login: one call for 15 keys and one for each 14 more.

        ``HemLoginRequired`` when the device's configuration does not allow it.
        """
        return self._own.all()

    def delete(self, key: Key | str) -> None:
        """Destroy a key, for good. ``HemKeyNotFound`` when there is none."""
        kid = _kid(key)

        def look() -> Literal[NotMade.NOT_MADE] | None:
            try:
                self._operations.fetch(kid)
            except HemKeyNotFound:
                return None
            return NOT_MADE

        change = Change("the key was deleted", f"key {kid} is there still", _SEE_LISTING, look, repeat=True)
        with self._doubts_forget():
            try:
                self._session.run(keymgmt.delete(kid), change)
            except HemKeyNotFound:
                self._listing.forget(kid)
                raise
        self._listing.forget(kid)

    def refresh(self) -> None:
        """Forget what was listed, on disk too; the next use asks the device."""
        self._listing.clear()

    @contextmanager
    def _doubts_forget(self, key: Key | None = None) -> Iterator[None]:
        """What was listed may be wrong after a change that ended without the device's word."""
        try:
            yield
        except (HemConnectionError, HemDeviceFault):
            self._listing.clear()
            if key is not None:
                key.doubt()
            raise

    def _shown(self, key: Key) -> bool:
        hidden = key.hidden and not self._config.show_hidden
        return not hidden and self._label_shown(key.label)

    def _label_shown(self, label: str) -> bool:
        patterns = self._config.key_filter
        return not patterns or any(fnmatchcase(label, each) for each in patterns)

    def __getitem__(self, kid: str) -> Key:
        return self.get(kid)

    def __iter__(self) -> Iterator[Key]:
        return (each for each in self._listing.walk() if self._shown(each))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, kid: object) -> bool:
        if isinstance(kid, Key):
            kid = kid.kid
        return isinstance(kid, str) and self._listed(kid.lower()) is not None

    def __repr__(self) -> str:
        return f"<KeyInventory of {self._name}>"

    @property
    def _name(self) -> str:
        return self._config.name


def _kid(key: Key | str) -> str:
    """The KID of a key, or a KID in the device's spelling. ``TypeError`` for anything else."""
    return key.kid if isinstance(key, Key) else check_kid(key)


def _device_form(public: object) -> tuple[str, bytes]:
    if hasattr(public, "public_key"):  # private keys, certificates, requests, keys of a device
        raise TypeError(
            f"public: {type(public).__name__}; accepted: a native public key, or (type, bytes). A device "
            "takes no private keys; give public_key() of it"
        )
    return type_of(public).name, device_form(public)
