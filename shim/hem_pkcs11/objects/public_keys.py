"""Public keys that a host brings along: session objects for verifying, encapsulating and the like."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from hem_pkcs11.constants import CKA, CKK, CKO, CKR, UNAVAILABLE
from hem_pkcs11.encodings import point_content, public_key_info, public_point
from hem_pkcs11.keykinds import KINDS, Kind, curve_of
from hem_pkcs11.mechanisms import working_mechanisms
from hem_pkcs11.objects.item import Item, unknown_attribute
from hem_pkcs11.objects.table import KeyObject
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.templates.plans import PlannedKey, check_plan, mechanisms_kept
from hem_pkcs11.templates.rules import Column
from hem_pkcs11.templates.secret_keys import kept_values
from hem_pkcs11.templates.template import Template, check_result, check_template, identifier_of, label_of
from hem_pkcs11.values import pack_bool, pack_ulong, pack_ulongs, unpack_ulongs
from hem_provider.device.description import NO_LIMITS, Limits
from hem_provider.keytypes import Family

__all__ = ["PublicItem", "PublicObject", "device_point", "imported_plan", "public_item", "public_object"]


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
    """A public key in memory, in the device's form (``raw``). ``kept``: attributes as the template
    gave them."""

    def __init__(
        self,
        owner: int,
        kind: Kind,
        raw: bytes,
        label: bytes,
        identifier: bytes,
        kept: Mapping[int, bytes] = MappingProxyType({}),
    ) -> None:
        super().__init__(CKO.PUBLIC_KEY, owner)
        self.kind = kind
        self.raw = raw
        self.label = label
        self.identifier = identifier
        self.kept = dict(kept)

    @property
    def private(self) -> bool:
        return self.kept.get(CKA.PRIVATE) == pack_bool(True)

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

    def forbids(self, mechanism: int) -> bool:
        allowed = self.kept.get(CKA.ALLOWED_MECHANISMS)
        return allowed is not None and mechanism not in unpack_ulongs(allowed)

    def keep(self, changes: Mapping[int, bytes]) -> None:
        """Take over values that were checked; what does not belong here is passed over."""
        self.label = changes.get(CKA.LABEL, self.label)
        self.identifier = changes.get(CKA.ID, self.identifier)
        self.kept |= {kind: value for kind, value in changes.items() if kind in _KEPT}

    def copy(self, owner: int) -> PublicObject:
        return PublicObject(owner, self.kind, self.raw, self.label, self.identifier, self.kept)


def _signs(item: PublicObject) -> bytes:
    return pack_bool(item.kind.type.family in (Family.EC, Family.EDWARDS, Family.MLDSA))


def _point(item: PublicObject) -> bytes | None:
    if item.kind.ec_params is None:
        return None
    return public_point(item.public_key() if item.key_type == CKK.EC else item.raw)


def _encapsulates(item: PublicObject) -> bytes:
    return pack_bool(item.kind.type.family is Family.MLKEM)


def _allowed(item: PublicObject) -> bytes:
    return pack_ulongs(working_mechanisms(item.key_type))


def _constant(value: bytes) -> Callable[[PublicObject], bytes]:
    return lambda _: value


#: Kept as the template gave them: what they are otherwise.
_KEPT: Mapping[int, Callable[[PublicObject], bytes]] = {
    **dict.fromkeys((CKA.MODIFIABLE, CKA.COPYABLE, CKA.DESTROYABLE), _constant(pack_bool(True))),
    **dict.fromkeys((CKA.START_DATE, CKA.END_DATE, CKA.SUBJECT), _constant(b"")),
    CKA.DERIVE: _constant(pack_bool(False)),
    CKA.VERIFY: _signs,
    CKA.ENCAPSULATE: _encapsulates,
    CKA.ALLOWED_MECHANISMS: _allowed,
}


def _read_kept(kind: int) -> Callable[[PublicObject], bytes]:
    def read(item: PublicObject) -> bytes:
        value = item.kept.get(kind)
        return _KEPT[kind](item) if value is None else value

    return read


_ROWS: Mapping[int, Callable[[PublicObject], bytes | None]] = {
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
    check_template(template, Column.SESSION_PUBLIC, skip=(CKA.TOKEN,))
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
    kept = kept_values(template, kind.key_type)
    kept |= {
        each: template.needed(each) for each in (CKA.PRIVATE, *_POSSIBLE, CKA.DERIVE) if each in template
    }
    item = PublicObject(
        owner, kind, raw, template.raw(CKA.LABEL) or b"", template.raw(CKA.ID) or b"", kept
    )  # fmt: skip
    for flag, possible in _POSSIBLE.items():
        if template.flag(flag) and possible(item) != pack_bool(True):
            raise template.error(CKR.TEMPLATE_INCONSISTENT, flag, f"not with a {kind.type.name} key")
    # Whether it becomes one of the token is not this object's to say.
    check_result(template, Column.SESSION_PUBLIC, item.attribute, skip=(CKA.TOKEN,))
    return item


#: Uses that depend on the type of the key.
_POSSIBLE = {CKA.VERIFY: _signs, CKA.ENCAPSULATE: _encapsulates}


def imported_plan(template: Template, item: PublicObject) -> PlannedKey:
    """How ``item`` becomes a key of the token: what the device would keep of its template.

    Raises what the rules say for what it cannot keep.
    """
    check_template(template, Column.PUBLIC, skip=_MATERIAL)
    limits = frozenset(verb for flag, verb in _DENIABLE.items() if template.flag(flag) is False)
    plan = PlannedKey(
        kind=item.kind,
        label=label_of(template, item.label, item.kind.type.name),
        identifier=identifier_of(template, item.identifier),
        usage=None,
        token=True,
        limits=NO_LIMITS,
    )
    uses = {
        verb for flag, verb in _DENIABLE.items() if flag in _POSSIBLE and _POSSIBLE[flag](item) == b"\x01"
    }  # fmt: skip
    kept = mechanisms_kept(template, plan) or frozenset()
    plan = plan.limited(Limits(limits & (uses | {"modify", "destroy"}), kept))
    check_plan(template, CKO.PUBLIC_KEY, plan, skip=_MATERIAL)
    return plan


#: What the key is made of; `public_object` has seen to it.
_MATERIAL = (CKA.EC_POINT, CKA.VALUE, CKA.PUBLIC_KEY_INFO)
#: What can be denied to a public key, by the flag that does it.
_DENIABLE = {
    CKA.VERIFY: "verify",
    CKA.ENCAPSULATE: "encapsulate",
    CKA.MODIFIABLE: "modify",
    CKA.DESTROYABLE: "destroy",
}


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
