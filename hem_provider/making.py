"""How keys come onto a device: made there, derived there, or imported as public keys.

Requests that make a key are not repeated blindly. Every one carries a random mark in ``descr``; a
lost answer is answered by looking for the mark (device API §20.4).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hem_provider.arguments import as_bytes, as_text, as_words
from hem_provider.description import Description
from hem_provider.errors import (
    HemAnswerFault,
    HemAuthenticationError,
    HemConnectionError,
    HemDuplicateKey,
    HemOperationFailed,
    HemTimeout,
    HemUnreachable,
)
from hem_provider.keytypes import KEY_TYPES, Family, KeyType, parse_attributes
from hem_provider.publickeys import kid_of
from hem_provider.rest.api import RestApi
from hem_provider.rest.keymgmt import KeyRecord, check_label
from hem_provider.rest.session import LoginSession
from hem_provider.rest.wire import ConnectionLostError
from hem_provider.usage import default_usage, device_mode, mode_families

__all__ = ["KeyMaker", "NewKey", "key_type_named", "kid_of"]

_log = logging.getLogger("hem_provider.device")

_SEARCH = ("keymgmt:list", "keymgmt:search")
_GENERATE = ("keymgmt:gen",)
_DERIVE = ("keymgmt:gen", "keymgmt:derive")
_IMPORT = ("keymgmt:imp",)

#: What a listing shows for families without a choice (device API §11.1).
_FIXED = {
    Family.EDWARDS: "ExDSA",
    Family.MONTGOMERY: "ECDH",
    Family.MLKEM: "PQC",
    Family.MLDSA: "PQC",
}


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that is on the device now. ``attributes``: the type string a listing will show, or
    ``None`` where that is not predictable; ``record`` instead where it was looked up."""

    kid: str
    label: str
    descr: bytes
    attributes: str | None = None
    record: KeyRecord | None = None


@dataclass(frozen=True, slots=True)
class _Wish:
    """The checked part that all requests share."""

    key_type: KeyType
    label: str
    mode: str | None
    description: Description

    @property
    def descr(self) -> bytes:
        return self.description.pack()


def key_type_named(name: str) -> KeyType:
    """``ValueError`` naming the accepted types for another name."""
    try:
        return KEY_TYPES[as_text("type", name)]
    except KeyError:
        raise ValueError(f"type: {name!r}; accepted: {', '.join(KEY_TYPES)}") from None


class KeyMaker:
    """One method per way. All values are checked before any request."""

    def __init__(self, rest: RestApi, session: LoginSession) -> None:
        self._rest = rest
        self._session = session
        self._name = rest.channel.config.name

    def create(self, type: str, label: str, usage: Iterable[str] | None, application_id: bytes) -> NewKey:
        """See ``KeyInventory.create``."""
        wish = _wish(key_type_named(type), label, usage, application_id)

        def make(token: str) -> str:
            return self._rest.keymgmt.create(
                type=type, label=label, mode=wish.mode, descr=wish.descr, token=token
            )

        tokens = ",".join(_generated(wish.key_type, wish.mode))
        return self._surely(wish, lambda: self._session.authorised(_GENERATE, make), tokens)

    def derive(
        self,
        kid: str,
        peer: bytes | str,
        type: str,
        label: str,
        usage: Iterable[str] | None,
        application_id: bytes,
    ) -> NewKey:
        """See ``KeyInventory.derive``."""
        wish = _wish(key_type_named(type), label, usage, application_id)
        if wish.key_type.family in (Family.MLKEM, Family.MLDSA):
            raise ValueError(f"type: {type!r} cannot be derived; accepted: all but ML-KEM and ML-DSA")

        def make(token: str) -> str:
            return self._rest.keymgmt.derive(
                kid, type=type, label=label, peer=peer, mode=wish.mode, descr=wish.descr, token=token
            )

        made = self._surely(wish, lambda: self._session.authorised(_DERIVE, make), None)
        if made.kid == kid:  # what the device answers for a type it does not know
            raise HemOperationFailed(f"{self._name}: the device does not derive keys of type {type}")
        return made

    def import_public(
        self, type: str, public: bytes, label: str, usage: Iterable[str] | None, application_id: bytes
    ) -> NewKey:
        """See ``KeyInventory.import_public``."""
        wish = _wish(key_type_named(type), label, usage, application_id)
        if wish.key_type.public_size != len(public):
            wanted = wish.key_type.public_size or "no public keys"
            raise ValueError(f"public key: {len(public)} bytes; {type} has {wanted}")

        def store(token: str) -> str:
            return self._rest.keymgmt.import_public(
                public, type=type, label=label, mode=wish.mode, descr=wish.descr, token=token
            )

        def store_twice(token: str) -> str:
            try:
                return store(token)
            except ConnectionLostError as lost:
                _log.info("%s; asked once more", lost)
                try:
                    return store(token)
                except HemDuplicateKey:
                    if not self._find(wish):
                        raise
                    return kid_of(public)  # the lost request had done it

        kid = self._session.authorised(_IMPORT, store_twice)
        kept = [each for each in _generated(wish.key_type, wish.mode) if each not in ("ATT", "PKEY")]
        return NewKey(kid, label, wish.descr, ",".join(kept))

    def _surely(self, wish: _Wish, make: Callable[[], str], tokens: str | None) -> NewKey:
        """Make a key; after a lost answer, find it by its mark instead of making another."""
        try:
            return NewKey(make(), wish.label, wish.descr, tokens)
        except (ConnectionLostError, HemTimeout) as lost:
            _log.warning("%s; looking whether the key was made", lost)
            mark = wish.description.mark.hex()
            try:
                records = self._find(wish)
            except (HemConnectionError, HemAuthenticationError) as error:
                raise type(lost)(
                    f"{lost}; whether the key was made is unknown ({error}): when the device is back, "
                    f"look for the creation mark {mark} before making it again"
                ) from lost
            if records:
                _log.info("%s: the key was made: %s", self._name, records[0].kid)
                return NewKey(records[0].kid, wish.label, wish.descr, record=records[0])
            if isinstance(lost, HemTimeout):
                raise HemTimeout(f"{lost}; no key was made so far (creation mark {mark})") from lost
            raise HemUnreachable(f"{lost}; no key was made") from lost

    def _find(self, wish: _Wish) -> tuple[KeyRecord, ...]:
        prefix = wish.description.search_prefix()
        found = self._session.authorised(
            _SEARCH, lambda token: self._rest.keymgmt.search(prefix, token=token)
        ).records
        for each in found:
            if parse_attributes(each.type).key_type is not wish.key_type:
                raise HemAnswerFault(
                    f"{self._name}: {wish.key_type.name} was asked for, {each.type!r} is there"
                )
        return found


def _wish(key_type: KeyType, label: str, usage: Iterable[str] | None, application_id: bytes) -> _Wish:
    check_label(label)
    wanted = default_usage(key_type) if usage is None else as_words("usage", usage)
    mode = device_mode(key_type, wanted)  # refuses what the type cannot do
    families = mode_families(key_type, wanted)
    return _Wish(
        key_type,
        label,
        mode,
        Description(application_id=as_bytes("application_id", application_id), families=families),
    )


def _generated(key_type: KeyType, mode: str | None) -> tuple[str, ...]:
    """The tokens of a generated key's type string (device API §11.1)."""
    if key_type.symmetric:
        return ("ATT", key_type.name)
    operations = (mode or "ECDH").split(",") if key_type.family is Family.EC else [_FIXED[key_type.family]]
    return ("ATT", "PKEY", *operations, key_type.name)
