"""Public keys that a host brings along: session objects for verifying, encapsulating and the like."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from hem_pkcs11.constants import CKA, CKK, CKO, CKR, UNAVAILABLE
from hem_pkcs11.encodings import public_key_info, public_point
from hem_pkcs11.keykinds import KeyKind
from hem_pkcs11.mechanisms import working_mechanisms
from hem_pkcs11.objects.device_keys import DeviceKey
from hem_pkcs11.objects.object import Pkcs11Object, unknown_attribute
from hem_pkcs11.objects.session_keys import SessionKey
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import pack_bool, pack_ulong, pack_ulongs
from hem_provider.keytypes import Family

__all__ = ["PublicKeyLike", "SessionPublicKey", "as_public_key", "encapsulates", "signs"]


class PublicKeyLike(Protocol):
    """What operations with public keys need; keys in the device and session objects have it."""

    kind: KeyKind

    def public_key(self) -> Any:
        """The native public key."""

    def describe(self) -> str:
        """For messages."""


def as_public_key(item: Pkcs11Object) -> PublicKeyLike:
    """``item`` as a public key. Raises CKR_KEY_TYPE_INCONSISTENT."""
    if isinstance(item, DeviceKey | SessionPublicKey):
        return item
    raise Pkcs11Error(CKR.KEY_TYPE_INCONSISTENT, f"{item.describe()} is no public key")


class SessionPublicKey(SessionKey):
    """A public key in memory, in the device's form (``raw``). ``kept``: attributes as the template
    gave them."""

    def __init__(
        self,
        owner: int,
        kind: KeyKind,
        raw: bytes,
        label: bytes,
        identifier: bytes,
        kept: Mapping[int, bytes] = MappingProxyType({}),
    ) -> None:
        super().__init__(CKO.PUBLIC_KEY, owner, label, identifier, kept)
        self.kind = kind
        self.raw = raw

    @property
    def private(self) -> bool:
        return self.kept.get(CKA.PRIVATE) == pack_bool(True)

    @property
    def key_type(self) -> CKK:
        return self.kind.key_type

    def public_key(self) -> Any:
        """The native public key; the device's bytes for a type that ``cryptography`` lacks."""
        from hem_provider.publickeys import load_public

        return load_public(self.kind.type, self.raw)

    def describe(self) -> str:
        return f"session public key {self.label.decode(errors='replace')!r}"

    def own_attribute(self, kind: int) -> bytes:
        row = _ROWS.get(kind)
        if row is None:
            raise unknown_attribute()
        value = row(self)
        if value is None:
            raise unknown_attribute()
        return value

    def attribute_types(self) -> Sequence[int]:
        return (CKA.CLASS, CKA.TOKEN, CKA.PRIVATE, *_ROWS)

    def keep(self, changes: Mapping[int, bytes]) -> None:
        super().keep(changes)
        self.kept |= {kind: value for kind, value in changes.items() if kind in _KEPT}

    def copy(self, owner: int) -> SessionPublicKey:
        """The same key for session ``owner``."""
        return SessionPublicKey(owner, self.kind, self.raw, self.label, self.identifier, self.kept)


def signs(item: SessionPublicKey) -> bytes:
    """CKA_VERIFY of a key whose template does not say: whether its type signs."""
    return pack_bool(item.kind.type.family in (Family.EC, Family.EDWARDS, Family.MLDSA))


def _point(item: SessionPublicKey) -> bytes | None:
    if item.kind.ec_params is None:
        return None
    return public_point(item.public_key() if item.key_type == CKK.EC else item.raw)


def encapsulates(item: SessionPublicKey) -> bytes:
    """CKA_ENCAPSULATE of a key whose template does not say: whether its type is ML-KEM."""
    return pack_bool(item.kind.type.family is Family.MLKEM)


def _allowed(item: SessionPublicKey) -> bytes:
    return pack_ulongs(working_mechanisms(item.key_type))


def _constant(value: bytes) -> Callable[[SessionPublicKey], bytes]:
    return lambda _: value


#: Kept as the template gave them: what they are otherwise.
_KEPT: Mapping[int, Callable[[SessionPublicKey], bytes]] = {
    **dict.fromkeys((CKA.MODIFIABLE, CKA.COPYABLE, CKA.DESTROYABLE), _constant(pack_bool(True))),
    **dict.fromkeys((CKA.START_DATE, CKA.END_DATE, CKA.SUBJECT), _constant(b"")),
    CKA.DERIVE: _constant(pack_bool(False)),
    CKA.VERIFY: signs,
    CKA.ENCAPSULATE: encapsulates,
    CKA.ALLOWED_MECHANISMS: _allowed,
}


def _read_kept(kind: int) -> Callable[[SessionPublicKey], bytes]:
    def read(item: SessionPublicKey) -> bytes:
        value = item.kept.get(kind)
        return _KEPT[kind](item) if value is None else value

    return read


_ROWS: Mapping[int, Callable[[SessionPublicKey], bytes | None]] = {
    **{kind: _read_kept(kind) for kind in _KEPT},
    CKA.LABEL: lambda item: item.label,
    CKA.ID: lambda item: item.identifier,
    CKA.UNIQUE_ID: lambda item: f"session-{item.handle}".encode(),
    CKA.KEY_TYPE: lambda item: pack_ulong(item.key_type),
    CKA.LOCAL: lambda _: pack_bool(False),
    CKA.KEY_GEN_MECHANISM: lambda _: pack_ulong(UNAVAILABLE),
    CKA.VERIFY_RECOVER: lambda _: pack_bool(False),
    CKA.ENCRYPT: lambda _: pack_bool(False),
    CKA.WRAP: lambda _: pack_bool(False),
    CKA.TRUSTED: lambda _: pack_bool(False),
    CKA.EC_PARAMS: lambda item: item.kind.ec_params,
    CKA.EC_POINT: _point,
    CKA.PARAMETER_SET: lambda item: pack_ulong(item.kind.parameter_set) if item.kind.parameter_set else None,
    CKA.VALUE: lambda item: item.raw if item.kind.parameter_set else None,
    CKA.PUBLIC_KEY_INFO: lambda item: public_key_info(item.public_key()),
}
