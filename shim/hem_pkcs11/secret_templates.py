"""Templates of secret keys: in the device, or in the session's memory.

A key in the device is sensitive and never leaves it. A session key is kept in memory when its
template makes it readable (CKA_EXTRACTABLE true or CKA_SENSITIVE false); otherwise a session key is
made in the device and deleted with the session.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from hem_pkcs11.constants import CKA, CKK, CKM, CKO, CKR, UNAVAILABLE, name_of
from hem_pkcs11.kinds import KINDS, Kind
from hem_pkcs11.mechanisms import MECHANISMS, Row
from hem_pkcs11.secrets import AES_SIZES, SECRET_FLAGS, SecretObject
from hem_pkcs11.templates import Template, identifier_of, label_of
from hem_provider.keytypes import Family

__all__ = ["DeviceSecret", "SecretShape", "check_size", "device_secret", "readable", "secret_shape"]

_READ = frozenset(
    {CKA.CLASS, CKA.TOKEN, CKA.PRIVATE, CKA.KEY_TYPE, CKA.LABEL, CKA.ID, CKA.VALUE_LEN, CKA.VALUE}
    | {CKA.SENSITIVE, CKA.EXTRACTABLE, CKA.MODIFIABLE, CKA.COPYABLE, CKA.DESTROYABLE, CKA.START_DATE}
    | {CKA.END_DATE, CKA.ALLOWED_MECHANISMS, CKA.WRAP_WITH_TRUSTED, CKA.TRUSTED, CKA.CHECK_VALUE}
    | set(SECRET_FLAGS)
)
#: Longest session secret, in bytes.
MAX_SECRET = 2**16


@dataclass(frozen=True, slots=True)
class SecretShape:
    """A session key to be kept in memory; ``size`` in bytes, ``None`` where the template is silent."""

    key_type: CKK
    size: int | None
    label: bytes
    identifier: bytes
    flags: frozenset[int]
    sensitive: bool
    extractable: bool
    private: bool

    def make(
        self, owner: int, value: bytes, *, local: bool = False, generation: int = UNAVAILABLE
    ) -> SecretObject:
        """The object with ``value``."""
        return SecretObject(
            owner, value, self.key_type, flags=self.flags, label=self.label, identifier=self.identifier,
            sensitive=self.sensitive, extractable=self.extractable, private=self.private, local=local,
            generation=generation,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeviceSecret:
    """A secret key to be made in the device."""

    kind: Kind
    label: str
    identifier: bytes
    usage: frozenset[str]
    token: bool


def readable(template: Template) -> bool:
    """Whether the template asks for a key whose value may leave: such a one lives in memory."""
    return template.flag(CKA.EXTRACTABLE) is True or template.flag(CKA.SENSITIVE) is False


def secret_shape(template: Template, key_types: Sequence[CKK], *, default: CKK | None = None) -> SecretShape:
    """A session key in memory. ``key_types``: what it may be.

    Raises CKR_TEMPLATE_INCONSISTENT and its sisters, naming the attribute.
    """
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
    private = template.flag(CKA.PRIVATE)
    sensitive = template.flag(CKA.SENSITIVE) or False
    extractable = template.flag(CKA.EXTRACTABLE)
    return SecretShape(
        key_type=key_type,
        size=size,
        label=template.raw(CKA.LABEL) or b"",
        identifier=template.raw(CKA.ID) or b"",
        flags=frozenset(each for each in SECRET_FLAGS if template.flag(each)) or _natural(template, key_type),
        sensitive=sensitive,
        extractable=extractable if extractable is not None else not sensitive,
        private=private if private is not None else True,
    )


def _natural(template: Template, key_type: CKK) -> frozenset[int]:
    """Uses of a key whose template names none: all that its type has, unless one was denied."""
    wanted = SECRET_FLAGS[:6] if key_type == CKK.AES else (CKA.SIGN, CKA.VERIFY, CKA.DERIVE)
    return frozenset(each for each in wanted if template.flag(each) is not False)


def check_size(template: Template, key_type: CKK, size: int) -> None:
    """Raises CKR_ATTRIBUTE_VALUE_INVALID for a size the type does not have."""
    if (key_type == CKK.AES and size not in AES_SIZES) or not 1 <= size <= MAX_SECRET:
        accepted = "16, 24 or 32" if key_type == CKK.AES else f"1 to {MAX_SECRET}"
        raise template.error(
            CKR.ATTRIBUTE_VALUE_INVALID, CKA.VALUE_LEN, f"{size} bytes; accepted: {accepted}"
        )


def _check_class(template: Template) -> None:
    for kind in template.kinds():
        if kind not in _READ:
            raise template.error(CKR.ATTRIBUTE_TYPE_INVALID, kind, "not for a secret key")
    if template.number(CKA.CLASS) not in (None, CKO.SECRET_KEY):
        raise template.error(CKR.TEMPLATE_INCONSISTENT, CKA.CLASS, "not a secret key")


def device_secret(row: Row, template: Template) -> DeviceSecret:
    """What C_GenerateKey asks the device for, by the generation mechanism ``row``."""
    _check_class(template)
    for kind, wanted in ((CKA.SENSITIVE, True), (CKA.EXTRACTABLE, False), (CKA.PRIVATE, True)):
        if template.flag(kind) is (not wanted):
            raise template.error(CKR.TEMPLATE_INCONSISTENT, kind, f"keys in the device have {wanted}")
    if template.raw(CKA.VALUE) is not None:
        raise template.error(CKR.TEMPLATE_INCONSISTENT, CKA.VALUE, "the device makes the value")
    kind_ = _kind(row, template)
    return DeviceSecret(
        kind=kind_,
        label=label_of(template, template.raw(CKA.LABEL), kind_.type.name),
        identifier=identifier_of(template, template.raw(CKA.ID)),
        usage=frozenset({"mac"}) if kind_.type.family is Family.HMAC else _families(template),
        token=template.flag(CKA.TOKEN) or False,
    )


def _kind(row: Row, template: Template) -> Kind:
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


#: Flags → mode family.
_FAMILY_FLAGS = (
    ((CKA.SIGN, CKA.VERIFY), frozenset({"mac"})),
    ((CKA.WRAP, CKA.UNWRAP), frozenset({"wrap"})),
    # CKA_ALLOWED_MECHANISMS narrows this to one of the two, which is the safer choice.
    ((CKA.ENCRYPT, CKA.DECRYPT), frozenset({"aead", "cipher"})),
)


def _families(template: Template) -> frozenset[str]:
    """Mode families of an AES key: from CKA_ALLOWED_MECHANISMS, else from the usage flags; AEAD
    for a template that says nothing."""
    raw = template.raw(CKA.ALLOWED_MECHANISMS)
    if raw is not None:
        numbers = (
            [each for (each,) in struct.iter_unpack("L", raw)] if len(raw) % struct.calcsize("L") == 0 else []
        )
        rows = [MECHANISMS.get(each) for each in numbers]
        families = frozenset(row.family for row in rows if row is not None and row.family)
        if not families or None in rows:
            names = ", ".join(name_of(CKM, each.type) for each in MECHANISMS.values() if each.family)
            raise template.error(CKR.ATTRIBUTE_VALUE_INVALID, CKA.ALLOWED_MECHANISMS, f"accepted: {names}")
        return families
    families = frozenset()
    for flags, family in _FAMILY_FLAGS:
        if any(template.flag(each) for each in flags):
            families |= family
    return families or frozenset({"aead"})
