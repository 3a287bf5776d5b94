"""How keys come onto a device: made there, derived there, or imported as public keys.

Requests that make a key are not repeated blindly. Every one carries a random mark in ``descr``; where
the answer does not tell, the mark is looked for (device API §20.4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from hem_provider.arguments import as_bytes, as_text, as_words
from hem_provider.device.description import NO_LIMITS, Description, Limits
from hem_provider.device.login import LoginSession
from hem_provider.device.usage import check_limits, default_usage, device_mode, mode_families
from hem_provider.errors import HemAnswerFault, HemAuthenticationError, HemOperationFailed
from hem_provider.keytypes import KEY_TYPES, Family, KeyType, parse_attributes
from hem_provider.publickeys import kid_of
from hem_provider.rest.api import RestApi
from hem_provider.rest.keymgmt import KeyRecord, Page, check_label
from hem_provider.rest.settle import NOT_MADE, Change, NotMade, settle

__all__ = ["KeyMaker", "NewKey", "key_type_named", "kid_of"]

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

    def create(
        self,
        type: str,
        label: str,
        usage: Iterable[str] | None,
        application_id: bytes,
        limits: Limits = NO_LIMITS,
    ) -> NewKey:
        """See ``KeyInventory.create``."""
        wish = _wish(key_type_named(type), label, usage, application_id, limits)

        tokens = ",".join(_generated(wish.key_type, wish.mode))

        def make(token: str) -> NewKey:
            kid = self._rest.keymgmt.create(
                type=type, label=label, mode=wish.mode, descr=wish.descr, token=token
            )
            return NewKey(kid, label, wish.descr, tokens)

        return self._settled(_GENERATE, make, wish)

    def derive(
        self,
        kid: str,
        peer: bytes | str,
        type: str,
        label: str,
        usage: Iterable[str] | None,
        application_id: bytes,
        limits: Limits = NO_LIMITS,
    ) -> NewKey:
        """See ``KeyInventory.derive``."""
        wish = _wish(key_type_named(type), label, usage, application_id, limits)
        if wish.key_type.family in (Family.MLKEM, Family.MLDSA):
            raise ValueError(f"type: {type!r} cannot be derived; accepted: all but ML-KEM and ML-DSA")

        def make(token: str) -> NewKey:
            made = self._rest.keymgmt.derive(
                kid, type=type, label=label, peer=peer, mode=wish.mode, descr=wish.descr, token=token
            )
            return NewKey(made, label, wish.descr)

        made = self._settled(_DERIVE, make, wish)
        if made.kid == kid:  # what the device answers for a type it does not know
            raise HemOperationFailed(f"{self._name}: the device does not derive keys of type {type}")
        return made

    def import_public(
        self,
        type: str,
        public: bytes,
        label: str,
        usage: Iterable[str] | None,
        application_id: bytes,
        limits: Limits = NO_LIMITS,
    ) -> NewKey:
        """See ``KeyInventory.import_public``."""
        wish = _wish(key_type_named(type), label, usage, application_id, limits)
        if wish.key_type.public_size != len(public):
            wanted = wish.key_type.public_size or "no public keys"
            raise ValueError(f"public key: {len(public)} bytes; {type} has {wanted}")

        kept = [each for each in _generated(wish.key_type, wish.mode) if each not in ("ATT", "PKEY")]

        def store(token: str) -> NewKey:
            kid = self._rest.keymgmt.import_public(
                public, type=type, label=label, mode=wish.mode, descr=wish.descr, token=token
            )
            return NewKey(kid, label, wish.descr, ",".join(kept))

        # A public key is stored once, whatever asks for it how often.
        return self._settled(_IMPORT, store, wish, repeat=True)

    def _settled(
        self, scopes: tuple[str, ...], make: Callable[[str], NewKey], wish: _Wish, *, repeat: bool = False
    ) -> NewKey:
        change = Change(
            made="the key was made",
            undone="no key was made",
            see=f"when {self._name} is back, look for a key {wish.label!r} with the creation mark "
            f"{wish.description.mark.hex()} in its descr before making it again",
            look=lambda: self._look(wish),
            repeat=repeat,
        )
        return self._session.authorised(scopes, lambda token: settle(lambda: make(token), change))

    def _look(self, wish: _Wish) -> NewKey | Literal[NotMade.NOT_MADE]:
        prefix = wish.description.search_prefix()
        for record in self._search(prefix).records:
            if not record.descr.startswith(prefix):
                continue
            if parse_attributes(record.type).key_type is not wish.key_type:
                raise HemAnswerFault(
                    f"{self._name}: {wish.key_type.name} was asked for, {record.type!r} is there"
                )
            return NewKey(record.kid, wish.label, wish.descr, record=record)
        return NOT_MADE

    def _search(self, prefix: bytes) -> Page:
        def search(token: str | None) -> Page:
            return self._rest.keymgmt.search(prefix, token=token)

        if not self._session.holds(_SEARCH):
            try:
                return search(None)
            except HemAuthenticationError:  # not allowed on this device
                pass
        return self._session.authorised(_SEARCH, search)


def _wish(
    key_type: KeyType, label: str, usage: Iterable[str] | None, application_id: bytes, limits: Limits
) -> _Wish:
    check_label(label)
    check_limits(key_type, limits)
    wanted = default_usage(key_type) if usage is None else as_words("usage", usage)
    mode = device_mode(key_type, wanted)  # refuses what the type cannot do
    families = mode_families(key_type, wanted)
    own = as_bytes("application_id", application_id)
    return _Wish(key_type, label, mode, Description(application_id=own, families=families, limits=limits))


def _generated(key_type: KeyType, mode: str | None) -> tuple[str, ...]:
    """The tokens of a generated key's type string (device API §11.1)."""
    if key_type.symmetric:
        return ("ATT", key_type.name)
    operations = (mode or "ECDH").split(",") if key_type.family is Family.EC else [_FIXED[key_type.family]]
    return ("ATT", "PKEY", *operations, key_type.name)
