"""Attributes of keys in the device: one table per object class, each value true for this device.

A row computes its value from the device's record of the key. Rows that need the public key may
cost one device call the first time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKA, CKK, CKO, CKR, UNAVAILABLE
from hem_pkcs11.encodings import public_key_info, public_point
from hem_pkcs11.mechanisms import allowed_mechanisms
from hem_pkcs11.objects.item import unknown_attribute
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import pack_bool, pack_ulong, pack_ulongs
from hem_provider.keytypes import Family

if TYPE_CHECKING:
    from hem_pkcs11.objects.table import KeyObject

__all__ = ["key_attribute", "key_attribute_types"]

Row = Callable[["KeyObject"], bytes]


def key_attribute(item: KeyObject, kind: int) -> bytes:
    """The value of attribute ``kind``; raises as ``Item.attribute`` does."""
    row = _TABLES[item.object_class].get(kind)
    if row is None or (kind in _ONLY and item.key_type not in _ONLY[CKA(kind)]):
        raise unknown_attribute()
    return row(item)


def key_attribute_types(object_class: CKO) -> Sequence[int]:
    """Every attribute that keys of the class may have."""
    return (CKA.CLASS, CKA.TOKEN, CKA.PRIVATE, *_TABLES[object_class])


def _bool(value: bool) -> Row:
    packed = pack_bool(value)
    return lambda _: packed


def _flag(predicate: Callable[[KeyObject], bool], verb: str = "") -> Row:
    """``verb``: what the key's maker may have denied it (`Limits`)."""
    return lambda item: pack_bool(predicate(item) and not (verb and verb in item.key.limits.denied))


def _always(_: KeyObject) -> bool:
    return True


def _empty(_: KeyObject) -> bytes:
    return b""


def _sensitive(_: KeyObject) -> bytes:
    raise Pkcs11Error(CKR.ATTRIBUTE_SENSITIVE)


def _identifier(item: KeyObject) -> bytes:
    own = item.key.application_id
    return own if own is not None else bytes.fromhex(item.key.kid)


def _ec_point(item: KeyObject) -> bytes:
    if item.key_type == CKK.EC:
        return public_point(item.public_key())
    return public_point(item.key.public_bytes())


def _public_value(item: KeyObject) -> bytes:
    if item.key_type not in _PQC_KEYS:
        raise unknown_attribute()
    return item.key.public_bytes()


def _public_key_info(item: KeyObject) -> bytes:
    return public_key_info(item.public_key())


def _ec_params(item: KeyObject) -> bytes:
    return item.kind.ec_params or b""


def _parameter_set(item: KeyObject) -> bytes:
    return pack_ulong(item.kind.parameter_set or 0)


def _value_length(item: KeyObject) -> bytes:
    return pack_ulong(item.kind.type.secret_size or item.kind.type.bits // 8)


def _generation(item: KeyObject) -> bytes:
    return pack_ulong(item.kind.generation if item.key.attributes.attested else UNAVAILABLE)


def _allowed(item: KeyObject) -> bytes:
    return pack_ulongs(allowed_mechanisms(item.key_type, item.key))


def _signs(item: KeyObject) -> bool:
    return item.key.attributes.exdsa or item.kind.type.family is Family.MLDSA


def _derives(item: KeyObject) -> bool:
    return item.object_class == CKO.PRIVATE_KEY and item.key.attributes.ecdh


def _encapsulates(item: KeyObject) -> bool:
    return item.kind.type.family is Family.MLKEM


def _made_inside(item: KeyObject) -> bool:
    return item.key.attributes.attested


def _uses(verb: str, *families: str) -> Row:
    """Whether an AES key is kept to one of the mode families, or to none; HMAC keys make MACs."""

    def permitted(item: KeyObject) -> bool:
        if item.kind.type.family is Family.HMAC:
            return families == ("mac",)
        kept = item.key.family_mark
        return not kept or not kept.isdisjoint(families)

    return _flag(permitted, verb)


_COMMON: Mapping[int, Row] = {
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
_PAIR: Mapping[int, Row] = {
    CKA.SUBJECT: _empty,
    CKA.EC_PARAMS: _ec_params,
    CKA.EC_POINT: _ec_point,
    CKA.PARAMETER_SET: _parameter_set,
    CKA.PUBLIC_KEY_INFO: _public_key_info,
}
_PUBLIC: Mapping[int, Row] = {
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
_SECRECY: Mapping[int, Row] = {
    CKA.SENSITIVE: _bool(True),
    CKA.ALWAYS_SENSITIVE: _flag(_made_inside),
    CKA.EXTRACTABLE: _bool(False),
    CKA.NEVER_EXTRACTABLE: _flag(_made_inside),
    CKA.WRAP_WITH_TRUSTED: _bool(False),
    CKA.VALUE: _sensitive,
}
_PRIVATE: Mapping[int, Row] = {
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
_SECRET: Mapping[int, Row] = {
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
_TABLES: Mapping[CKO, Mapping[int, Row]] = {
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
