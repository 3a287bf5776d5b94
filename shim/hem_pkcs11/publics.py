"""Public keys that a host brings along: session objects for verifying, encapsulating and the like."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from hem_pkcs11.constants import CKA, CKK, CKO, CKR, UNAVAILABLE
from hem_pkcs11.encodings import point_content, public_key_info, public_point
from hem_pkcs11.items import Item, unknown_attribute
from hem_pkcs11.kinds import KINDS, Kind, curve_of
from hem_pkcs11.objects import KeyObject
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.templates import Template
from hem_pkcs11.values import pack_bool, pack_ulong
from hem_provider.keytypes import Family

__all__ = ["PublicItem", "PublicObject", "device_point", "public_item", "public_object"]


class PublicItem(Protocol):
    """What operations with public keys need; keys in the device and session objects have it."""

    kind: Kind

    def public_key(self) -> Any:
        """The native public key."""

    def describe(self) -> str:
        """For messages."""


def public_item(item: Item) -> PublicItem:
    """``item`` as a public key. Raises CKR_KEY_TYPE_INCONSISTENT."""
    if isinstance(item, KeyObject | PublicObject):
        return item
    raise Pkcs11Error(CKR.KEY_TYPE_INCONSISTENT, f"{item.describe()} is no public key")


class PublicObject(Item):
    """A public key in memory, in the device's form (``raw``)."""

    def __init__(self, owner: int, kind: Kind, raw: bytes, label: bytes, identifier: bytes) -> None:
        super().__init__(CKO.PUBLIC_KEY, owner)
        self.kind = kind
        self.raw = raw
        self.label = label
        self.identifier = identifier

    @property
    def private(self) -> bool:
        return False

    @property
    def key_type(self) -> CKK:
        return self.kind.key_type

    def public_key(self) -> Any:
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


def _signs(item: PublicObject) -> bytes:
    return pack_bool(item.kind.type.family in (Family.EC, Family.EDWARDS, Family.MLDSA))


def _point(item: PublicObject) -> bytes | None:
    if item.kind.ec_params is None:
        return None
    return public_point(item.public_key() if item.key_type == CKK.EC else item.raw)


_ROWS: Mapping[int, Callable[[PublicObject], bytes | None]] = {
    CKA.MODIFIABLE: lambda _: pack_bool(True),
    CKA.COPYABLE: lambda _: pack_bool(True),
    CKA.DESTROYABLE: lambda _: pack_bool(True),
    CKA.LABEL: lambda item: item.label,
    CKA.ID: lambda item: item.identifier,
    CKA.UNIQUE_ID: lambda item: f"session-{item.handle}".encode(),
    CKA.KEY_TYPE: lambda item: pack_ulong(item.key_type),
    CKA.START_DATE: lambda _: b"",
    CKA.END_DATE: lambda _: b"",
    CKA.SUBJECT: lambda _: b"",
    CKA.LOCAL: lambda _: pack_bool(False),
    CKA.KEY_GEN_MECHANISM: lambda _: pack_ulong(UNAVAILABLE),
    CKA.VERIFY: _signs,
    CKA.VERIFY_RECOVER: lambda _: pack_bool(False),
    CKA.ENCRYPT: lambda _: pack_bool(False),
    CKA.WRAP: lambda _: pack_bool(False),
    CKA.DERIVE: lambda _: pack_bool(False),
    CKA.ENCAPSULATE: lambda item: pack_bool(item.kind.type.family is Family.MLKEM),
    CKA.TRUSTED: lambda _: pack_bool(False),
    CKA.EC_PARAMS: lambda item: item.kind.ec_params,
    CKA.EC_POINT: _point,
    CKA.PARAMETER_SET: lambda item: pack_ulong(item.kind.parameter_set) if item.kind.parameter_set else None,
    CKA.VALUE: lambda item: item.raw if item.kind.parameter_set else None,
    CKA.PUBLIC_KEY_INFO: lambda item: public_key_info(item.public_key()),
}
#: What C_CreateObject reads of a public key's template; other attributes must have the value above.
_READ = frozenset(
    {CKA.CLASS, CKA.TOKEN, CKA.PRIVATE, CKA.KEY_TYPE, CKA.LABEL, CKA.ID, CKA.EC_PARAMS, CKA.EC_POINT}
    | {CKA.PARAMETER_SET, CKA.VALUE, CKA.MODIFIABLE, CKA.COPYABLE, CKA.DESTROYABLE, CKA.VERIFY}
    | {CKA.SUBJECT, CKA.DERIVE, CKA.ENCRYPT, CKA.WRAP, CKA.VERIFY_RECOVER, CKA.ENCAPSULATE}
    | {CKA.ALLOWED_MECHANISMS, CKA.START_DATE, CKA.END_DATE, CKA.PUBLIC_KEY_INFO}
)


def device_point(kind: Kind, value: bytes) -> bytes:
    """The device's form (compressed for EC) of a point as hosts give it.

    Raises CKR_ATTRIBUTE_VALUE_INVALID for what is no point of the curve.
    """
    size = kind.type.public_size or 0
    if kind.type.family is not Family.EC:
        return point_content(value, (size,))
    content = point_content(value, (size, 2 * size - 1))
    from hem_provider.keys.public import CURVES, device_form

    try:
        from cryptography.hazmat.primitives.asymmetric import ec

        return device_form(ec.EllipticCurvePublicKey.from_encoded_point(CURVES[kind.type.name], content))
    except ValueError:
        raise Pkcs11Error(
            CKR.ATTRIBUTE_VALUE_INVALID, f"{len(content)} bytes that are no point of {kind.curve_name}"
        ) from None


def public_object(template: Template, owner: int) -> PublicObject:
    """The session object that a template for C_CreateObject describes."""
    for each in template.kinds():
        if each not in _READ:
            raise template.error(CKR.ATTRIBUTE_TYPE_INVALID, each, "not for a public key")
    kind = _kind(template)
    if kind.ec_params is not None:
        raw = device_point(kind, template.needed(CKA.EC_POINT))
    else:
        raw = template.needed(CKA.VALUE)
        from hem_provider.publickeys import check_public

        try:
            check_public(kind.type, raw)
        except ValueError as error:
            raise template.error(CKR.ATTRIBUTE_VALUE_INVALID, CKA.VALUE, str(error)) from None
    item = PublicObject(owner, kind, raw, template.raw(CKA.LABEL) or b"", template.raw(CKA.ID) or b"")
    for flag in (CKA.VERIFY, CKA.ENCAPSULATE, CKA.ENCRYPT, CKA.WRAP, CKA.VERIFY_RECOVER):
        if template.flag(flag) and not item.flag(flag):
            raise template.error(CKR.TEMPLATE_INCONSISTENT, flag, f"not with a {kind.type.name} key")
    return item


def _kind(template: Template) -> Kind:
    key_type = template.number(CKA.KEY_TYPE)
    if key_type is None:
        raise template.error(CKR.TEMPLATE_INCOMPLETE, CKA.KEY_TYPE, "missing")
    if key_type in (CKK.ML_KEM, CKK.ML_DSA):
        wanted = template.number(CKA.PARAMETER_SET)
        for kind in KINDS.values():
            if (kind.key_type, kind.parameter_set) == (key_type, wanted):
                return kind
        raise template.error(CKR.PARAMETER_SET_NOT_SUPPORTED, CKA.PARAMETER_SET, f"{wanted}")
    if key_type not in (CKK.EC, CKK.EC_EDWARDS, CKK.EC_MONTGOMERY):
        raise template.error(CKR.ATTRIBUTE_VALUE_INVALID, CKA.KEY_TYPE, "no public key the module works with")
    kind_or_none = curve_of(template.needed(CKA.EC_PARAMS))
    if kind_or_none is None or kind_or_none.key_type != key_type:
        raise template.error(CKR.CURVE_NOT_SUPPORTED, CKA.EC_PARAMS, "no curve the module works with")
    return kind_or_none
