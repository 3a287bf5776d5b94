"""Templates of secret keys: in the device, or in the session's memory.

A key in the device is sensitive and never leaves it. A session key is kept in memory when its
template makes it readable (CKA_EXTRACTABLE true or CKA_SENSITIVE false), or asks for what no key in
the device has; otherwise a session key is made in the device and deleted with the session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hem_pkcs11.constants import CKA, CKK, CKM, CKO, CKR, UNAVAILABLE, name_of
from hem_pkcs11.keykinds import KINDS, KeyKind
from hem_pkcs11.mechanisms import MECHANISMS, MechanismRow, working_mechanisms
from hem_pkcs11.objects.secret_keys import AES_SIZES, SECRET_FLAGS, SessionSecretKey
from hem_pkcs11.templates.plans import PlannedKey, check_plan, mechanisms_kept
from hem_pkcs11.templates.rules import Column
from hem_pkcs11.templates.template import (
    Template,
    check_result,
    check_template,
    identifier_of,
    label_fits,
    label_of,
)
from hem_provider.device.description import MAX_APPLICATION_ID, NO_LIMITS, Limits
from hem_provider.keytypes import Family
from hem_provider.records import field, frozen

__all__ = ["SecretShape", "check_size", "device_secret", "in_memory", "kept_values", "secret_shape"]

#: Longest session secret, in bytes.
MAX_SECRET = 2**16
#: Attributes that objects in memory keep as they were given.
_KEPT = (
    CKA.MODIFIABLE, CKA.COPYABLE, CKA.DESTROYABLE, CKA.START_DATE, CKA.END_DATE, CKA.WRAP_WITH_TRUSTED,
    CKA.ALLOWED_MECHANISMS, CKA.SUBJECT,
)  # fmt: skip


@frozen
class SecretShape:
    """A session key to be kept in memory; ``size`` in bytes, ``None`` where the template is silent."""

    template: Template = field(repr=False)
    key_type: CKK
    size: int | None
    label: bytes
    identifier: bytes
    flags: frozenset[int]
    sensitive: bool
    extractable: bool
    private: bool
    kept: Mapping[int, bytes]

    def make(
        self, owner: int, value: bytes, *, local: bool = False, generation: int = UNAVAILABLE
    ) -> SessionSecretKey:
        """The object with ``value``. Raises what the rules say where it is not as asked."""
        item = SessionSecretKey(
            owner, value, self.key_type, flags=self.flags, label=self.label, identifier=self.identifier,
            sensitive=self.sensitive, extractable=self.extractable, private=self.private, local=local,
            generation=generation, kept=self.kept,
        )  # fmt: skip
        try:
            check_result(self.template, Column.SESSION_SECRET, item.attribute)
        except Exception:
            item.close()
            raise
        return item


#: What a key in the device can be for; one that is for nothing at all is no key of the device.
_USES = (CKA.ENCRYPT, CKA.DECRYPT, CKA.SIGN, CKA.VERIFY, CKA.WRAP, CKA.UNWRAP)


def in_memory(template: Template) -> bool:
    """Whether C_GenerateKey makes the key in the session's memory: when its value may leave, and when
    it asks for what no key in the device has."""
    if template.flag(CKA.EXTRACTABLE) is True or template.flag(CKA.SENSITIVE) is False:
        return True
    if template.flag(CKA.TOKEN):
        return False
    label, period = template.raw(CKA.LABEL), (template.raw(CKA.START_DATE), template.raw(CKA.END_DATE))
    return (
        template.flag(CKA.PRIVATE) is False
        or template.flag(CKA.WRAP_WITH_TRUSTED) is True
        or (label is not None and not label_fits(label))
        or len(template.raw(CKA.ID) or b"") > MAX_APPLICATION_ID
        or any(period)
        or all(template.flag(use) is False for use in _USES)
    )


def secret_shape(
    template: Template,
    key_types: Sequence[CKK],
    *,
    default: CKK | None = None,
    brought: bool = False,
    secret: bool = False,
) -> SecretShape:
    """A session key in memory. ``key_types``: what it may be. ``brought``: the template has the value.
    ``secret``: a private key is sensitive unless the template says otherwise.

    Raises CKR_TEMPLATE_INCONSISTENT, CKR_TEMPLATE_INCOMPLETE, CKR_ATTRIBUTE_TYPE_INVALID or
    CKR_ATTRIBUTE_VALUE_INVALID, naming the attribute.
    """
    check_template(template, Column.SESSION_SECRET, skip=(CKA.VALUE,) if brought else ())
    _check_class(template)
    if template.flag(CKA.TOKEN):
        raise template.error(
            CKR.TEMPLATE_INCONSISTENT, CKA.TOKEN,
            "the device takes no secret from outside: such a key is a session object (CKA_TOKEN false)",
        )  # fmt: skip
    number = template.number(CKA.KEY_TYPE)
    if number is None and default is None:
        raise template.error(CKR.TEMPLATE_INCOMPLETE, CKA.KEY_TYPE, "missing")
    if number is not None and number not in key_types:
        raise template.error(
            CKR.TEMPLATE_INCONSISTENT, CKA.KEY_TYPE, f"{name_of(CKK, number)} is not possible here"
        )
    key_type = CKK(number) if number is not None else default
    assert key_type is not None  # noqa: S101 - one of the two above
    size = template.number(CKA.VALUE_LEN)
    if size is not None:
        check_size(template, key_type, size)
    private = template.flag(CKA.PRIVATE) is not False
    extractable = template.flag(CKA.EXTRACTABLE)
    sensitive = template.flag(CKA.SENSITIVE)
    if sensitive is None:
        sensitive = secret and private and not extractable
    return SecretShape(
        template=template,
        key_type=key_type,
        size=size,
        label=template.raw(CKA.LABEL) or b"",
        identifier=template.raw(CKA.ID) or b"",
        flags=_flags(template, key_type),
        sensitive=sensitive,
        extractable=extractable if extractable is not None else not sensitive,
        private=private,
        kept=kept_values(template, key_type),
    )


def kept_values(template: Template, key_type: CKK) -> dict[int, bytes]:
    """What an object in memory keeps of its template as it is.

    Raises CKR_ATTRIBUTE_VALUE_INVALID for mechanisms none of which works with the key.
    """
    wanted = template.numbers(CKA.ALLOWED_MECHANISMS)
    working = working_mechanisms(key_type)
    if wanted is not None and set(working).isdisjoint(wanted):
        names = ", ".join(name_of(CKM, each) for each in working) or "none"
        raise template.error(
            CKR.ATTRIBUTE_VALUE_INVALID, CKA.ALLOWED_MECHANISMS, f"nothing is left of what works: {names}"
        )
    return {kind: template.needed(kind) for kind in _KEPT if kind in template}


def _flags(template: Template, key_type: CKK) -> frozenset[int]:
    """Uses that are set: those asked for; where none is, all that the type has and that are not denied."""
    asked = frozenset(each for each in SECRET_FLAGS if template.flag(each))
    natural = SECRET_FLAGS[:6] if key_type == CKK.AES else (CKA.SIGN, CKA.VERIFY, CKA.DERIVE)
    return asked or frozenset(each for each in natural if template.flag(each) is not False)


def check_size(template: Template, key_type: CKK, size: int) -> None:
    """Raises CKR_ATTRIBUTE_VALUE_INVALID for a size in bytes that the type does not have."""
    if (key_type == CKK.AES and size not in AES_SIZES) or not 1 <= size <= MAX_SECRET:
        accepted = "16, 24 or 32" if key_type == CKK.AES else f"1 to {MAX_SECRET}"
        raise template.error(
            CKR.ATTRIBUTE_VALUE_INVALID, CKA.VALUE_LEN, f"{size} bytes; accepted: {accepted}"
        )


def _check_class(template: Template) -> None:
    if template.number(CKA.CLASS) not in (None, CKO.SECRET_KEY):
        raise template.error(CKR.TEMPLATE_INCONSISTENT, CKA.CLASS, "not a secret key")


def device_secret(row: MechanismRow, template: Template) -> PlannedKey:
    """What C_GenerateKey asks the device for, by the generation mechanism ``row``.

    Raises CKR_TEMPLATE_INCOMPLETE, CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_TYPE_INVALID or
    CKR_ATTRIBUTE_VALUE_INVALID, naming the attribute.
    """
    check_template(template, Column.SECRET)
    _check_class(template)
    kind = _kind(row, template)
    usage = frozenset({"mac"}) if kind.type.family is Family.HMAC else _families(template)
    token = template.flag(CKA.TOKEN) or False
    plan = PlannedKey(
        kind=kind,
        label=label_of(template, template.raw(CKA.LABEL), kind.type.name),
        identifier=identifier_of(template, template.raw(CKA.ID)),
        usage=usage,
        token=token,
        limits=NO_LIMITS,
    )
    groups = [verbs for families, verbs in _DENIABLE if not families.isdisjoint(usage)]
    denied = {verb for verbs in groups for verb, flag in verbs.items() if template.flag(flag) is False}
    uses = {verb: flag for verbs in groups[:-1] for verb, flag in verbs.items()}
    if uses.keys() <= denied:
        raise template.error(
            CKR.TEMPLATE_INCONSISTENT, next(iter(uses.values())),
            f"nothing is left that such a key ({kind.type.name}, {', '.join(sorted(usage))}) could do",
        )  # fmt: skip
    if token:
        denied.discard("copy")  # there is never a second one
    kept = mechanisms_kept(template, plan) or frozenset()
    plan = plan.limited(Limits(frozenset(denied), kept))
    check_plan(template, CKO.SECRET_KEY, plan)
    return plan


def _kind(row: MechanismRow, template: Template) -> KeyKind:
    (key_type,) = row.key_types
    named = template.number(CKA.KEY_TYPE)
    if named not in (None, key_type):
        raise template.error(
            CKR.TEMPLATE_INCONSISTENT, CKA.KEY_TYPE, f"CKM_{row.type.name} makes {key_type.name}"
        )
    size = template.number(CKA.VALUE_LEN)
    possible = {
        kind.type.secret_size or kind.type.bits // 8: kind
        for kind in KINDS.values()
        if kind.key_type == key_type
    }
    if size is None and len(possible) > 1:
        raise template.error(CKR.TEMPLATE_INCOMPLETE, CKA.VALUE_LEN, "missing")
    if size is not None and size not in possible:
        accepted = ", ".join(map(str, possible))
        raise template.error(
            CKR.ATTRIBUTE_VALUE_INVALID, CKA.VALUE_LEN, f"{size} bytes; accepted: {accepted}"
        )
    return possible[size] if size is not None else next(iter(possible.values()))


_ANY = frozenset({"aead", "cipher", "wrap", "mac"})
#: Mode families → what can be denied to their keys, by the flag that does it.
_DENIABLE: tuple[tuple[frozenset[str], Mapping[str, CKA]], ...] = (
    # CKA_ALLOWED_MECHANISMS narrows this to one of the two, which is the safer choice.
    (frozenset({"aead", "cipher"}), {"encrypt": CKA.ENCRYPT, "decrypt": CKA.DECRYPT}),
    (frozenset({"wrap"}), {"wrap": CKA.WRAP, "unwrap": CKA.UNWRAP}),
    (frozenset({"mac"}), {"sign": CKA.SIGN, "verify": CKA.VERIFY}),
    (_ANY, {"modify": CKA.MODIFIABLE, "copy": CKA.COPYABLE, "destroy": CKA.DESTROYABLE}),
)


def _families(template: Template) -> frozenset[str]:
    """Mode families of an AES key: from CKA_ALLOWED_MECHANISMS, else from the usage flags; AEAD
    for a template that says nothing."""
    wanted = template.numbers(CKA.ALLOWED_MECHANISMS)
    if wanted is not None:
        rows = [MECHANISMS.get(each) for each in wanted]
        families = frozenset(row.family for row in rows if row is not None and row.family)
        if not families or any(row is None or not row.family for row in rows):
            names = ", ".join(name_of(CKM, each.type) for each in MECHANISMS.values() if each.family)
            raise template.error(CKR.ATTRIBUTE_VALUE_INVALID, CKA.ALLOWED_MECHANISMS, f"accepted: {names}")
        return families
    families = frozenset()
    for of_flags, verbs in _DENIABLE[:3]:
        if any(template.flag(each) for each in verbs.values()):
            families |= of_flags
    return families or frozenset({"aead"})
