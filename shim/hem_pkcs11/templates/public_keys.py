"""Templates of public keys that a host brings along: session objects, or keys of the token made of one."""

from __future__ import annotations

from hem_pkcs11.constants import CKA, CKK, CKO, CKR
from hem_pkcs11.encodings import device_point
from hem_pkcs11.keykinds import KINDS, KeyKind, curve_of
from hem_pkcs11.objects.public_keys import SessionPublicKey, encapsulates, signs
from hem_pkcs11.templates.plans import PlannedKey, check_plan, mechanisms_kept
from hem_pkcs11.templates.rules import Column
from hem_pkcs11.templates.secret_keys import kept_values
from hem_pkcs11.templates.template import Template, check_result, check_template, identifier_of, label_of
from hem_pkcs11.values import pack_bool
from hem_provider.device.description import NO_LIMITS, Limits

__all__ = ["imported_plan", "public_object"]


def public_object(template: Template, owner: int) -> SessionPublicKey:
    """The session object that a template for C_CreateObject describes.

    Raises CKR_TEMPLATE_INCOMPLETE, CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_TYPE_INVALID,
    CKR_ATTRIBUTE_VALUE_INVALID, CKR_CURVE_NOT_SUPPORTED or CKR_PARAMETER_SET_NOT_SUPPORTED, naming the
    attribute.
    """
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
    item = SessionPublicKey(
        owner, kind, raw, template.raw(CKA.LABEL) or b"", template.raw(CKA.ID) or b"", kept
    )  # fmt: skip
    for flag, possible in _POSSIBLE.items():
        if template.flag(flag) and possible(item) != pack_bool(True):
            raise template.error(CKR.TEMPLATE_INCONSISTENT, flag, f"not with a {kind.type.name} key")
    # Whether it becomes one of the token is not this object's to say.
    check_result(template, Column.SESSION_PUBLIC, item.attribute, skip=(CKA.TOKEN,))
    return item


#: Uses that depend on the type of the key.
_POSSIBLE = {CKA.VERIFY: signs, CKA.ENCAPSULATE: encapsulates}


def imported_plan(template: Template, item: SessionPublicKey) -> PlannedKey:
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


def _kind(template: Template) -> KeyKind:
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
