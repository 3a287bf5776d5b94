"""How keys come onto a device: made there, derived there, or imported as public keys.

Requests that make a key are not repeated blindly. Every one carries a random mark in ``descr``; where
the answer does not tell, the mark is looked for (device API §20.4).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from hem_provider.arguments import as_bytes, as_text, as_words
from hem_provider.device.description import NO_LIMITS, Description, Limits
from hem_provider.device.login import LoginSession
from hem_provider.device.usage import check_limits, default_usage, device_mode, mode_families
from hem_provider.errors import HemAnswerFault, HemAuthenticationError, HemOperationFailed
from hem_provider.keytypes import KEY_TYPES, USAGE_TOKENS, Family, KeyType, parse_attributes
from hem_provider.publickeys import kid_of
from hem_provider.records import frozen
from hem_provider.rest import keymgmt
from hem_provider.rest.call import Call
from hem_provider.rest.keyfields import check_label
from hem_provider.rest.keymgmt import KeyRecord, Page
from hem_provider.rest.settle import NOT_MADE, Change, NotMade

__all__ = ["KeyMaker", "NewKey", "check_label", "check_wish", "key_type_named", "kid_of"]


@frozen
class NewKey:
    """A key that is on the device now. ``attributes``: the type string a listing will show, or
    ``None`` where that is not predictable; ``record`` instead where it was looked up."""

    kid: str
    label: str
    descr: bytes
    attributes: str | None = None
    record: KeyRecord | None = None


@frozen
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


def check_wish(
    type: str, label: str, usage: Iterable[str] | None, application_id: bytes = b"", *, derived: bool = False
) -> None:
    """What ``KeyMaker`` checks before any request: ``ValueError`` for what no key can be made of, ``derived``
    or not. No I/O."""
    wish = _wish(key_type_named(type), label, usage, application_id, NO_LIMITS)
    if derived:
        _check_derivable(wish.key_type)


def _check_derivable(key_type: KeyType) -> None:
    if key_type.family in (Family.MLKEM, Family.MLDSA):
        raise ValueError(f"type: {key_type.name!r} cannot be derived; accepted: all but ML-KEM and ML-DSA")


class KeyMaker:
    """One method per way. All values are checked before any request."""

    def __init__(self, session: LoginSession) -> None:
        self._session = session
        self._name = session.rest.channel.config.name
        self._limits = session.rest.channel.limits

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

        call = keymgmt.create(type=type, label=label, mode=wish.mode, descr=wish.descr, limits=self._limits)
        return self._made(call, wish, ",".join(_generated(wish.key_type, wish.mode)))

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
        _check_derivable(wish.key_type)
        call = keymgmt.derive(
            kid, type=type, label=label, peer=peer, mode=wish.mode, descr=wish.descr, limits=self._limits
        )
        made = self._made(call, wish)
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

        call = keymgmt.import_public(
            public, type=type, label=label, mode=wish.mode, descr=wish.descr, limits=self._limits
        )
        # A public key is stored once, whatever asks for it how often.
        return self._made(call, wish, ",".join(kept), repeat=True)

    def _made(
        self, call: Call[str], wish: _Wish, attributes: str | None = None, *, repeat: bool = False
    ) -> NewKey:
        change: Change[str | KeyRecord] = Change(
            made="the key was made",
            undone="no key was made",
            see=f"when {self._name} is back, look for a key {wish.label!r} with the creation mark "
            f"{wish.description.mark.hex()} in its descr before making it again",
            look=lambda: self._look(wish),
            repeat=repeat,
        )
        made: str | KeyRecord = self._session.run(call, change)
        if isinstance(made, KeyRecord):
            return NewKey(made.kid, wish.label, wish.descr, record=made)
        return NewKey(made, wish.label, wish.descr, attributes)

    def _look(self, wish: _Wish) -> KeyRecord | Literal[NotMade.NOT_MADE]:
        prefix = wish.description.search_prefix()
        for record in self._search(prefix).records:
            if not record.descr.startswith(prefix):
                continue
            if parse_attributes(record.type).key_type is not wish.key_type:
                raise HemAnswerFault(
                    f"{self._name}: {wish.key_type.name} was asked for, {record.type!r} is there"
                )
            return record
        return NOT_MADE

    def _search(self, prefix: bytes) -> Page:
        call = keymgmt.search(prefix)
        if not self._session.holds(call.scopes):
            try:
                return self._session.run(keymgmt.search_anonymously(prefix))
            except HemAuthenticationError:  # not allowed on this device
                pass
        return self._session.run(call)


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
    tokens = USAGE_TOKENS[key_type.family]
    operations = (mode or tokens["derive"]).split(",") if key_type.family is Family.EC else tokens.values()
    return ("ATT", "PKEY", *operations, key_type.name)
