"""Keys of the device as objects, and their attributes: one table per object class, each value true
for this device.

A table's reader makes a value of the device's record of the key. Those that need the public key may
cost one device call the first time.
"""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hem_pkcs11.constants import CKA, CKK, CKO, CKR, UNAVAILABLE
from hem_pkcs11.encodings import public_key_info, public_point
from hem_pkcs11.keykinds import KINDS
from hem_pkcs11.mechanisms import allowed_mechanisms, possible_mechanisms
from hem_pkcs11.objects.object import Pkcs11Object, unknown_attribute
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import pack_bool, pack_ulong, pack_ulongs
from hem_provider.keytypes import Family

if TYPE_CHECKING:
    from hem_provider.device.key import Key

__all__ = ["DeviceKey", "key_attribute_types", "kid_of_info", "shown"]

AttributeReader = Callable[["DeviceKey"], bytes]


class DeviceKey(Pkcs11Object):
    """A secret key, or one half of a key pair, in the device."""

    def __init__(self, object_class: CKO, key: Key, owner: int | None = None) -> None:
        super().__init__(object_class, owner)
        self.key: Key = key
        self.kind = KINDS[key.type.name]

    @property
    def private(self) -> bool:
        return self.object_class != CKO.PUBLIC_KEY

    @property
    def key_type(self) -> CKK:
        return self.kind.key_type

    def own_attribute(self, kind: int) -> bytes:
        reader = _TABLES[self.object_class].get(kind)
        if reader is None or (kind in _ONLY and self.key_type not in _ONLY[CKA(kind)]):
            raise unknown_attribute()
        return reader(self)

    def attribute_types(self) -> Sequence[int]:
        return key_attribute_types(self.object_class)

    def describe(self) -> str:
        return f"key {self.key.label!r} (KID {self.key.kid})"

    def forbids(self, mechanism: int) -> bool:
        if not self.key.limits.mechanisms:
            return False
        possible = possible_mechanisms(self.key_type, self.key)  # others are refused for what they are
        return mechanism in possible and mechanism not in allowed_mechanisms(self.key_type, self.key)

    def public_key(self) -> Any:
        """The native public key of either half."""
        return self.key.public_key()


def shown(key: Key, filters: tuple[str, ...], *, hidden: bool) -> bool:
    """Whether the module shows ``key`` at all: of a type it knows, not hidden, and let through by
    the configured label patterns (``key_filter``)."""
    if key.attributes.key_type is None or (key.hidden and not hidden):
        return False
    return not filters or any(fnmatch.fnmatchcase(key.label, each) for each in filters)


@functools.lru_cache(maxsize=1024)
def kid_of_info(public_key_info: bytes) -> str | None:
    """The KID of a public key (SubjectPublicKeyInfo), which is made of it (device API §11.2); ``None``
    for a kind of key that no device has."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    from hem_provider.publickeys import device_form, kid_of

    try:
        return kid_of(device_form(load_der_public_key(public_key_info)))
    except (ValueError, AttributeError, UnsupportedAlgorithm):
        return None


def key_attribute_types(object_class: CKO) -> Sequence[int]:
    """Every attribute that keys of the class may have."""
    return (CKA.CLASS, CKA.TOKEN, CKA.PRIVATE, *_TABLES[object_class])


def _bool(value: bool) -> AttributeReader:
    packed = pack_bool(value)
    return lambda _: packed


def _flag(predicate: Callable[[DeviceKey], bool], verb: str = "") -> AttributeReader:
    """``verb``: what the key's maker may have denied it (`Limits`)."""
    return lambda item: pack_bool(predicate(item) and not (verb and verb in item.key.limits.denied))


def _always(_: DeviceKey) -> bool:
    return True


def _empty(_: DeviceKey) -> bytes:
    return b""


def _sensitive(_: DeviceKey) -> bytes:
    raise Pkcs11Error(CKR.ATTRIBUTE_SENSITIVE)


def _identifier(item: DeviceKey) -> bytes:
    own = item.key.application_id
    return own if own is not None else bytes.fromhex(item.key.kid)


def _ec_point(item: DeviceKey) -> bytes:
    if item.key_type == CKK.EC:
        return public_point(item.public_key())
    return public_point(item.key.public_bytes())


def _public_value(item: DeviceKey) -> bytes:
    if item.key_type not in _PQC_KEYS:
        raise unknown_attribute()
    return item.key.public_bytes()


def _public_key_info(item: DeviceKey) -> bytes:
    return public_key_info(item.public_key())


def _ec_params(item: DeviceKey) -> bytes:
    return item.kind.ec_params or b""


def _parameter_set(item: DeviceKey) -> bytes:
    return pack_ulong(item.kind.parameter_set or 0)


def _value_length(item: DeviceKey) -> bytes:
    return pack_ulong(item.kind.type.secret_size or item.kind.type.bits // 8)


def _generation(item: DeviceKey) -> bytes:
    return pack_ulong(item.kind.generation if item.key.attributes.attested else UNAVAILABLE)


def _allowed(item: DeviceKey) -> bytes:
    return pack_ulongs(allowed_mechanisms(item.key_type, item.key))


def _signs(item: DeviceKey) -> bool:
    return item.key.attributes.exdsa or item.kind.type.family is Family.MLDSA


def _derives(item: DeviceKey) -> bool:
    return item.object_class == CKO.PRIVATE_KEY and item.key.attributes.ecdh


def _encapsulates(item: DeviceKey) -> bool:
    return item.kind.type.family is Family.MLKEM


def _made_inside(item: DeviceKey) -> bool:
    return item.key.attributes.attested


def _uses(verb: str, *families: str) -> AttributeReader:
    """Whether an AES key is kept to one of the mode families, or to none; HMAC keys make MACs."""

    def permitted(item: DeviceKey) -> bool:
        if item.kind.type.family is Family.HMAC:
            return families == ("mac",)
        kept = item.key.family_mark
        return not kept or not kept.isdisjoint(families)

    return _flag(permitted, verb)


_COMMON: Mapping[int, AttributeReader] = {
    CKA.MODIFIABLE: _flag(_always, "modify"),
    # A session pair may become one of the token; there is never a second one.
    CKA.COPYABLE: _flag(lambda item: item.owner is not None, "copy"),
    CKA.DESTROYABLE: _flag(_always, "destroy"),
    CKA.LABEL: lambda item: item.key.label.encode(),
    CKA.UNIQUE_ID: lambda item: item.key.kid.encode(),
    CKA.KEY_TYPE: lambda item: pack_ulong(item.key_type),
    CKA.ID: _identifier,
    CKA.START_DATE: _empty,
    CKA.END_DATE: _empty,
    CKA.DERIVE: _flag(_derives),
    CKA.LOCAL: _flag(_made_inside),
    CKA.KEY_GEN_MECHANISM: _generation,
    CKA.ALLOWED_MECHANISMS: _allowed,
}
#: Both halves of a pair. Hosts read the point and the info from the private half where it has
#: them and save a search for the public one.
_PAIR: Mapping[int, AttributeReader] = {
    CKA.SUBJECT: _empty,
    CKA.EC_PARAMS: _ec_params,
    CKA.EC_POINT: _ec_point,
    CKA.PARAMETER_SET: _parameter_set,
    CKA.PUBLIC_KEY_INFO: _public_key_info,
}
_PUBLIC: Mapping[int, AttributeReader] = {
    **_COMMON,
    **_PAIR,
    CKA.VERIFY: _flag(_signs, "verify"),
    CKA.VERIFY_RECOVER: _bool(False),
    CKA.ENCRYPT: _bool(False),
    CKA.WRAP: _bool(False),
    CKA.ENCAPSULATE: _flag(_encapsulates, "encapsulate"),
    CKA.TRUSTED: _bool(False),
    CKA.VALUE: _public_value,
}
#: Nobody gets the secret of what is in the device.
_SECRECY: Mapping[int, AttributeReader] = {
    CKA.SENSITIVE: _bool(True),
    CKA.ALWAYS_SENSITIVE: _flag(_made_inside),
    CKA.EXTRACTABLE: _bool(False),
    CKA.NEVER_EXTRACTABLE: _flag(_made_inside),
    CKA.WRAP_WITH_TRUSTED: _bool(False),
    CKA.VALUE: _sensitive,
}
_PRIVATE: Mapping[int, AttributeReader] = {
    **_COMMON,
    **_PAIR,
    **_SECRECY,
    CKA.SIGN: _flag(_signs, "sign"),
    CKA.SIGN_RECOVER: _bool(False),
    CKA.DECRYPT: _bool(False),
    CKA.UNWRAP: _bool(False),
    CKA.DECAPSULATE: _flag(_encapsulates, "decapsulate"),
    CKA.ALWAYS_AUTHENTICATE: _bool(False),
}
_SECRET: Mapping[int, AttributeReader] = {
    **_COMMON,
    **_SECRECY,
    CKA.ENCRYPT: _uses("encrypt", "aead", "cipher"),
    CKA.DECRYPT: _uses("decrypt", "aead", "cipher"),
    CKA.SIGN: _uses("sign", "mac"),
    CKA.VERIFY: _uses("verify", "mac"),
    CKA.WRAP: _uses("wrap", "wrap"),
    CKA.UNWRAP: _uses("unwrap", "wrap"),
    CKA.VALUE_LEN: _value_length,
    CKA.TRUSTED: _bool(False),
}
_TABLES: Mapping[CKO, Mapping[int, AttributeReader]] = {
    CKO.PUBLIC_KEY: _PUBLIC,
    CKO.PRIVATE_KEY: _PRIVATE,
    CKO.SECRET_KEY: _SECRET,
}

_CURVE_KEYS = frozenset({CKK.EC, CKK.EC_EDWARDS, CKK.EC_MONTGOMERY})
_PQC_KEYS = frozenset({CKK.ML_KEM, CKK.ML_DSA})
#: Attributes that only keys of some types have.
_ONLY: Mapping[CKA, frozenset[CKK]] = {
    CKA.EC_PARAMS: _CURVE_KEYS,
    CKA.EC_POINT: _CURVE_KEYS,
    CKA.PARAMETER_SET: _PQC_KEYS,
}
