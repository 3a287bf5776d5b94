"""One key of a device: what is known of it, and the way to its key objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from hem_provider.device.cache import DiskCache
from hem_provider.device.description import NO_LIMITS, Description, Limits, parse_description
from hem_provider.device.operations import Operations
from hem_provider.errors import HemAnswerFault, HemOperationFailed
from hem_provider.keyobjects import key_objects
from hem_provider.keytypes import KeyAttributes, KeyType, parse_attributes
from hem_provider.publickeys import check_public, kid_of
from hem_provider.rest.keymgmt import KeyMaterial, KeyRecord

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, mlkem, x448, x25519

    PrivateKey = (
        ec.EllipticCurvePrivateKey
        | ed25519.Ed25519PrivateKey
        | ed448.Ed448PrivateKey
        | x25519.X25519PrivateKey
        | x448.X448PrivateKey
        | mldsa.MLDSA44PrivateKey
        | mldsa.MLDSA65PrivateKey
        | mldsa.MLDSA87PrivateKey
        | mlkem.MLKEM768PrivateKey
        | mlkem.MLKEM1024PrivateKey
    )
    PublicKey = (
        ec.EllipticCurvePublicKey
        | ed25519.Ed25519PublicKey
        | ed448.Ed448PublicKey
        | x25519.X25519PublicKey
        | x448.X448PublicKey
        | mldsa.MLDSA44PublicKey
        | mldsa.MLDSA65PublicKey
        | mldsa.MLDSA87PublicKey
        | mlkem.MLKEM768PublicKey
        | mlkem.MLKEM1024PublicKey
    )

__all__ = ["Key", "is_own"]

#: Records of the device's own: TLS material, paired authenticators (device API §1.3, §10.1).
_OWN_LABEL = "TLS "
_OWN_DESCR = (b"DNS:", b"EXTAID")

KindT = TypeVar("KindT")


def is_own(label: str, descr: bytes) -> bool:
    """Whether a record is the device's own."""
    return label.startswith(_OWN_LABEL) or descr.startswith(_OWN_DESCR)


class _Completer(Protocol):
    """What a key asks its inventory for."""

    cache: DiskCache

    def same_device(self, other: Any) -> bool:
        """Whether another inventory is of the same device, as far as known without asking."""

    def complete(self, key: Key) -> None:
        """Read the key's whole record from the device and ``learn`` it."""


class Key:
    """What the device says of one key. Equal when device and KID are, by whatever connection.

    All is known without asking for a key that was listed. A key known by KID alone, or just made,
    asks the device once for what it lacks (label, times), and once for its public half.
    """

    def __init__(
        self,
        inventory: _Completer,
        operations: Operations,
        kid: str,
        *,
        label: str | None = None,
        descr: bytes | None = None,
        attributes: KeyAttributes | None = None,
        material: KeyMaterial | None = None,
        descr_hint: bytes | None = None,
    ) -> None:
        self.kid = kid
        self.operations = operations
        self._inventory = inventory
        self._label = label
        self._descr = descr
        self._descr_hint = descr_hint
        self._attributes = attributes
        self._times: tuple[int, int] | None = None
        self._bare: KeyType | None = None
        self._public: bytes | None = None
        self._fits: KeyType | None = None  # the type that the public half was found to be of
        if material is not None:
            self._take(material)

    @property
    def label(self) -> str:
        """1–32 printable ASCII characters."""
        if self._label is None:
            self._inventory.complete(self)
        return self._label or ""

    @property
    def descr(self) -> bytes:
        """The free field, up to 64 bytes; see ``application_id`` for what is ours in it."""
        if self._descr is None:
            self._inventory.complete(self)
        return self._descr or b""

    @property
    def attributes(self) -> KeyAttributes:
        """Type, origin and permitted operations."""
        if self._attributes is None:
            self._inventory.complete(self)
        return self._attributes or parse_attributes("")

    @property
    def created(self) -> int:
        """Unix seconds in the device's clock."""
        return self._dates()[0]

    @property
    def updated(self) -> int:
        """Unix seconds in the device's clock, of the last change of label or ``descr``."""
        return self._dates()[1]

    @property
    def type(self) -> KeyType:
        """``HemOperationFailed`` for a record that is no key (a certificate, DER material)."""
        known = self.known_type or self.attributes.key_type
        if known is None:
            tokens = ",".join(self.attributes.tokens)
            raise HemOperationFailed(f"record {self.kid} ({tokens}) is not a key of a known type")
        return known

    @property
    def application_id(self) -> bytes | None:
        """The id an application chose at creation, or ``None``."""
        own = self._description()
        return (own.application_id or None) if own else None

    @property
    def family_mark(self) -> frozenset[str] | None:
        """Mode families the key is kept to; empty for none, ``None`` for a key not made by us."""
        own = self._description()
        return own.families if own else None

    @property
    def limits(self) -> Limits:
        """What its maker ruled out, beyond type and mode families."""
        own = self._description()
        return own.limits if own else NO_LIMITS

    @property
    def known_limits(self) -> Limits:
        """``limits`` as far as known without asking the device."""
        own = parse_description(self.known_descr or b"")
        return own.limits if own else NO_LIMITS

    @property
    def hidden(self) -> bool:
        """Whether this is the device's own record: TLS material or a paired authenticator."""
        return self.attributes.key_type is None or is_own(self.label, self.descr)

    @property
    def known_attributes(self) -> KeyAttributes | None:
        """``attributes`` if known without asking the device."""
        return self._attributes

    @property
    def known_descr(self) -> bytes | None:
        """``descr`` as far as known without asking the device: what it was when listed last."""
        return self._descr_hint if self._descr is None else self._descr

    @property
    def known_type(self) -> KeyType | None:
        """``type`` if known without asking the device."""
        return self._bare or (self._attributes.key_type if self._attributes else None)

    @property
    def known_public(self) -> bytes | None:
        """``public_bytes`` if known without asking the device."""
        if self._public is None:
            self._public = self._inventory.cache.public(self.kid)
        return self._public

    def public_bytes(self) -> bytes:
        """The public half in device form (EC: compressed point). One call the first time.

        ``HemOperationFailed`` for a key that has none; ``HemAnswerFault`` for one that the device gives
        and that is none of the key's type, or does not match the KID (device API §11.2).
        """
        if self.known_public is None:
            self._take(self.operations.fetch(self.kid))
        if self._public is None:
            raise HemOperationFailed(f"key {self.kid} ({self.type.name}) has no public half")
        kind = self.known_type
        if kind is not None and kind is not self._fits:
            try:
                check_public(kind, self._public)
            except ValueError as error:
                raise HemAnswerFault(f"key {self.kid}: {error}") from None
            self._fits = kind
        return self._public

    @overload
    def public_key(self) -> PublicKey: ...
    @overload
    def public_key(self, kind: Callable[..., KindT]) -> KindT: ...
    def public_key(self, kind: Any = None) -> Any:
        """The public half as a native ``cryptography`` key: verifying with it is local.

        ``kind`` narrows the static type: ``key.public_key(ec.EllipticCurvePublicKey)``; it is a
        ``TypeError`` when the key is not one.
        """
        _check_kind(kind, "ec.EllipticCurvePublicKey")
        return self._narrowed(key_objects().public_key(self), kind)

    @overload
    def private_key(self) -> PrivateKey: ...
    @overload
    def private_key(self, kind: Callable[..., KindT]) -> KindT: ...  # a class: type[] takes no abstract one
    def private_key(self, kind: Any = None) -> Any:
        """The key as a ``cryptography`` private key whose operations run on the device. No I/O.

        ``kind`` narrows the static type: ``key.private_key(ec.EllipticCurvePrivateKey)``; it is a
        ``TypeError`` when the key is not one.
        """
        _check_kind(kind, "ec.EllipticCurvePrivateKey")
        return self._narrowed(key_objects().private_key(self), kind)

    def learn(self, record: KeyRecord) -> None:
        """Take over what a listing says. ``HemAnswerFault`` for another type than it had: a key keeps its
        type for life."""
        attributes, known = parse_attributes(record.type), self.known_type
        if known is not None and attributes.key_type is not known:
            raise HemAnswerFault(f"key {self.kid}: listed as {record.type!r}; it is known as {known.name}")
        self._label, self._descr = record.label, record.descr
        self._attributes = attributes
        self._times = (record.created, record.updated)

    def record(self) -> KeyRecord | None:
        """What a listing says, if all of it is known."""
        if self._attributes is None or self._label is None or self._times is None:
            return None
        kind = ",".join(self._attributes.tokens)
        return KeyRecord(self.kid, kind, self._label, self._descr or b"", *self._times)

    def renamed(self, label: str, descr: bytes) -> None:
        """Take over what was just written; the time of the change is the device's to tell."""
        self._label, self._descr, self._times = label, descr, None

    def doubt(self) -> None:
        """A change may have been made: label and ``descr`` are the device's to tell, when asked for."""
        self._descr_hint = self.known_descr
        self._label = self._descr = self._times = None

    def learn_public(self, public: bytes) -> None:
        """Take over a public half known from elsewhere; it must match the KID."""
        if kid_of(public) == self.kid:
            self._public = public
            self._inventory.cache.keep_public(self.kid, public)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Key):
            return NotImplemented
        return self.kid == other.kid and (
            self._inventory is other._inventory or self._inventory.same_device(other._inventory)
        )

    def __hash__(self) -> int:
        return hash(self.kid)

    def __copy__(self) -> Key:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Key:
        return self

    def __repr__(self) -> str:
        kind = self.known_type
        label = f" {self._label!r}" if self._label is not None else ""
        return f"<Key {self.kid}{f' {kind.name}' if kind else ''}{label}>"

    def _take(self, material: KeyMaterial) -> None:
        self._bare = parse_attributes(material.type).key_type or self._bare
        self._public = material.public
        if material.public is not None:
            self._inventory.cache.keep_public(self.kid, material.public)

    def _narrowed(self, half: Any, kind: Any) -> Any:
        if kind is not None and not isinstance(half, kind):
            raise TypeError(f"key {self.kid} is {self.type.name}, not {kind.__name__}")
        return half

    def _dates(self) -> tuple[int, int]:
        if self._times is None:
            self._inventory.complete(self)
        return self._times or (0, 0)

    def _description(self) -> Description | None:
        return parse_description(self.descr)


def _check_kind(kind: object, example: str) -> None:
    if kind is not None and not isinstance(kind, type):
        raise TypeError(
            f"kind: an object of class {type(kind).__name__}; accepted: a class of keys, such as {example}"
        )
