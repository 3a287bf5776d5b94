"""Attributes of keys: one table per object class, each value true for this device.

A row computes its value from the device's record of the key. Rows that need the public key may
cost one device call the first time; ``COSTLY`` names them, so that searches ask them last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKA, CKK, CKO, CKR, UNAVAILABLE
from hem_pkcs11.encodings import octet_string
from hem_pkcs11.mechanisms import allowed_mechanisms
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import pack_bool, pack_ulong, pack_ulongs

if TYPE_CHECKING:
    from hem_pkcs11.objects import KeyObject

__all__ = ["COSTLY", "attribute", "attribute_types"]

Row = Callable[["KeyObject"], bytes]

#: Attributes that need the public key itself.
COSTLY = frozenset({CKA.PUBLIC_KEY_INFO, CKA.EC_POINT, CKA.VALUE, CKA.CHECK_VALUE})


def attribute(item: KeyObject, kind: int) -> bytes:
    """The value of attribute ``kind``.

    Raises CKR_ATTRIBUTE_SENSITIVE for key material and CKR_ATTRIBUTE_TYPE_INVALID for what the
    object does not have.
    """
    rows = _TABLES[item.object_class]
    row = rows.get(kind)
    if row is None or (kind in _ONLY and item.kind.key_type not in _ONLY[CKA(kind)]):
        raise Pkcs11Error(CKR.ATTRIBUTE_TYPE_INVALID)
    return row(item)


def attribute_types(object_class: CKO) -> tuple[CKA, ...]:
    """Every attribute that objects of the class may have, for documentation and tests."""
    return tuple(CKA(each) for each in _TABLES[object_class])


def _bool(value: bool) -> Row:
    packed = pack_bool(value)
    return lambda _: packed


def _flag(predicate: Callable[[KeyObject], bool]) -> Row:
    return lambda item: pack_bool(predicate(item))


def _empty(_: KeyObject) -> bytes:
    return b""


def _sensitive(_: KeyObject) -> bytes:
    raise Pkcs11Error(CKR.ATTRIBUTE_SENSITIVE)


def _identifier(item: KeyObject) -> bytes:
    own = item.key.application_id
    return own if own is not None else bytes.fromhex(item.key.kid)


def _ec_point(item: KeyObject) -> bytes:
    if item.kind.key_type != CKK.EC:
        return octet_string(item.key.public_bytes())
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    point = item.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return octet_string(bytes(point))


def _public_key_info(item: KeyObject) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        native = item.key.public_key()
        return bytes(native.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    except NotImplementedError:
        return b""  # the standard's "unknown": no native form of this type


def _ec_params(item: KeyObject) -> bytes:
    return item.kind.ec_params or b""


def _generation(item: KeyObject) -> bytes:
    return pack_ulong(item.kind.generation if item.key.attributes.attested else UNAVAILABLE)


def _allowed(item: KeyObject) -> bytes:
    return pack_ulongs(allowed_mechanisms(item.kind.key_type, item.key.attributes))


def _signs(item: KeyObject) -> bool:
    return item.key.attributes.exdsa


def _derives(item: KeyObject) -> bool:
    return item.key.attributes.ecdh


def _made_inside(item: KeyObject) -> bool:
    return item.key.attributes.attested


_COMMON: Mapping[int, Row] = {
    CKA.CLASS: lambda item: pack_ulong(item.object_class),
    CKA.TOKEN: _flag(lambda item: item.owner is None),
    CKA.PRIVATE: _flag(lambda item: item.private),
    CKA.MODIFIABLE: _bool(False),
    CKA.COPYABLE: _bool(False),
    CKA.DESTROYABLE: _bool(True),
    CKA.LABEL: lambda item: item.key.label.encode(),
    CKA.UNIQUE_ID: lambda item: item.key.kid.encode(),
    CKA.KEY_TYPE: lambda item: pack_ulong(item.kind.key_type),
    CKA.ID: _identifier,
    CKA.START_DATE: _empty,
    CKA.END_DATE: _empty,
    CKA.DERIVE: _flag(lambda item: item.object_class != CKO.PUBLIC_KEY and _derives(item)),
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
    CKA.PUBLIC_KEY_INFO: _public_key_info,
}
_PUBLIC: Mapping[int, Row] = {
    **_COMMON,
    **_PAIR,
    CKA.VERIFY: _flag(_signs),
    CKA.VERIFY_RECOVER: _bool(False),
    CKA.ENCRYPT: _bool(False),
    CKA.WRAP: _bool(False),
    CKA.TRUSTED: _bool(False),
}
_PRIVATE: Mapping[int, Row] = {
    **_COMMON,
    **_PAIR,
    CKA.SIGN: _flag(_signs),
    CKA.SIGN_RECOVER: _bool(False),
    CKA.DECRYPT: _bool(False),
    CKA.UNWRAP: _bool(False),
    CKA.SENSITIVE: _bool(True),
    CKA.ALWAYS_SENSITIVE: _flag(_made_inside),
    CKA.EXTRACTABLE: _bool(False),
    CKA.NEVER_EXTRACTABLE: _flag(_made_inside),
    CKA.WRAP_WITH_TRUSTED: _bool(False),
    CKA.ALWAYS_AUTHENTICATE: _bool(False),
    CKA.VALUE: _sensitive,
}
_TABLES: Mapping[CKO, Mapping[int, Row]] = {CKO.PUBLIC_KEY: _PUBLIC, CKO.PRIVATE_KEY: _PRIVATE}

_CURVE_KEYS = frozenset({CKK.EC, CKK.EC_EDWARDS, CKK.EC_MONTGOMERY})
#: Attributes that only keys of some types have.
_ONLY: Mapping[CKA, frozenset[CKK]] = {CKA.EC_PARAMS: _CURVE_KEYS, CKA.EC_POINT: _CURVE_KEYS}
