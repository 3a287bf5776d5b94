"""Templates: what a host wants of a new object, and checks that all kinds of objects share.

An attribute that cannot be had is refused, never dropped: what a template asks for is compared with
what the object says, before it is made where making it cannot be taken back.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Sequence

from hem_pkcs11.constants import CKA, CKR, name_of
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.templates.rules import RULES, Column, Form, How, form_of
from hem_pkcs11.values import Attribute, unpack_ulongs
from hem_provider.device.description import MAX_APPLICATION_ID
from hem_provider.keytypes import MAX_LABEL

__all__ = [
    "Template",
    "check_form",
    "check_period",
    "check_result",
    "check_template",
    "identifier_of",
    "label_fits",
    "label_of",
]

_DATE = 8


class Template:
    """Attributes by type, each once. ``name`` says which template, for messages.

    Raises CKR_TEMPLATE_INCONSISTENT for an attribute that is given twice with different values.
    """

    def __init__(self, name: str, attributes: Sequence[Attribute]) -> None:
        self.name = name
        self._values: dict[int, bytes] = {}
        for kind, value in attributes:
            if self._values.get(kind, value) != value:
                raise self.error(CKR.TEMPLATE_INCONSISTENT, kind, "given twice with different values")
            self._values[kind] = value

    def error(self, rv: CKR, kind: int, text: str) -> Pkcs11Error:
        """``rv``, saying which attribute of which template it is about."""
        return Pkcs11Error(rv, f"{self.name} template: {name_of(CKA, kind)}: {text}")

    def __contains__(self, kind: int) -> bool:
        return kind in self._values

    def kinds(self) -> list[int]:
        """The types of the attributes, in the template's order."""
        return list(self._values)

    def raw(self, kind: int) -> bytes | None:
        """The value of an attribute; ``None`` where the template does not name it."""
        return self._values.get(kind)

    def flag(self, kind: int) -> bool | None:
        """A CK_BBOOL. Raises CKR_ATTRIBUTE_VALUE_INVALID."""
        value = self._values.get(kind)
        if value is None:
            return None
        if value not in (b"\x00", b"\x01"):
            raise self.error(CKR.ATTRIBUTE_VALUE_INVALID, kind, "not CK_TRUE or CK_FALSE, one byte")
        return value == b"\x01"

    def number(self, kind: int) -> int | None:
        """A CK_ULONG. Raises CKR_ATTRIBUTE_VALUE_INVALID."""
        value = self._values.get(kind)
        if value is None:
            return None
        if len(value) != struct.calcsize("L"):
            raise self.error(CKR.ATTRIBUTE_VALUE_INVALID, kind, f"{len(value)} bytes are no CK_ULONG")
        return int(struct.unpack("L", value)[0])

    def numbers(self, kind: int) -> tuple[int, ...] | None:
        """An array of CK_ULONG, one at least: a key with which nothing is allowed is of no use, and
        others read an empty array as no restriction. Raises CKR_ATTRIBUTE_VALUE_INVALID."""
        value = self._values.get(kind)
        if value is None:
            return None
        if not value or len(value) % struct.calcsize("L"):
            raise self.error(CKR.ATTRIBUTE_VALUE_INVALID, kind, f"{len(value)} bytes are no list of CK_ULONG")
        return unpack_ulongs(value)

    def date(self, kind: int) -> str | None:
        """A CK_DATE as YYYYMMDD, "" for none. Raises CKR_ATTRIBUTE_VALUE_INVALID."""
        value = self._values.get(kind)
        if value is None:
            return None
        text = value.decode("ascii", "replace")
        if not value:
            return ""
        import datetime  # dates are rare, and it takes as long to load as all of this package

        try:
            if len(value) != _DATE or not (value.isascii() and text.isdigit()):
                raise ValueError
            datetime.date(int(text[:4]), int(text[4:6]), int(text[6:]))
        except ValueError:
            raise self.error(
                CKR.ATTRIBUTE_VALUE_INVALID, kind, f"{len(value)} bytes; accepted: YYYYMMDD, a day, or empty"
            ) from None
        return text

    def needed(self, kind: int) -> bytes:
        """A value that must be there. Raises CKR_TEMPLATE_INCOMPLETE."""
        value = self._values.get(kind)
        if value is None:
            raise self.error(CKR.TEMPLATE_INCOMPLETE, kind, "missing")
        return value


def check_template(template: Template, column: Column, *, skip: Collection[int] = ()) -> None:
    """Hold a template against the rules of what it is to become, as far as that can be told before it is
    made: refuse attributes such an object does not have, those that cannot be given, and values that are
    none. ``skip``: attributes that are read elsewhere.

    Raises CKR_ATTRIBUTE_TYPE_INVALID, CKR_ATTRIBUTE_VALUE_INVALID, or what the rule of the attribute says.
    """
    rules = RULES[column]
    for kind in template.kinds():
        if kind in skip:
            continue
        rule = rules.get(kind)
        if rule is None:
            raise template.error(CKR.ATTRIBUTE_TYPE_INVALID, kind, f"a {column.value} has none")
        if rule.blank and template.raw(kind) == b"":
            continue
        check_form(template, kind)
        if rule.how in (How.DERIVED, How.HIDDEN):
            raise template.error(rule.rv, kind, "follows from how the object is made and cannot be given")
    check_period(template, template.raw(CKA.START_DATE), template.raw(CKA.END_DATE))


def check_result(
    template: Template, column: Column, read: Callable[[int], bytes], *, skip: Collection[int] = ()
) -> None:
    """Refuse a template that asks for what ``read`` (attribute → value), the object, will not say.

    Raises what the rule of the attribute says, CKR_TEMPLATE_INCONSISTENT as a rule.
    """
    for kind in template.kinds():
        rule = RULES[column].get(kind)
        given = template.needed(kind)
        if rule is None or kind in skip or rule.how is How.HIDDEN or (rule.blank and not given):
            continue
        try:
            value = read(kind)
        except Pkcs11Error as error:
            raise template.error(error.rv, kind, "an object of such a type has none") from None
        if rule.how is How.CHOICE:
            continue
        if value == given or (rule.lenient and given == b"\x01"):
            continue
        if form_of(kind) is Form.NUMBERS and set(unpack_ulongs(value)) == set(unpack_ulongs(given)):
            continue
        shown = f" {value.hex()}" if 0 < len(value) <= struct.calcsize("L") else f" {len(value)} bytes"
        raise template.error(rule.rv, kind, f"cannot be had so: {_ARTICLE[rule.how]}{shown}")


_ARTICLE = {How.FIXED: "it always is", How.AGREES: "the object has", How.KEPT: "the object would have"}


def check_form(template: Template, kind: int) -> None:
    """Whether a value is one of its attribute's form. Raises CKR_ATTRIBUTE_VALUE_INVALID."""
    match form_of(kind):
        case Form.BOOL:
            template.flag(kind)
        case Form.NUMBER:
            template.number(kind)
        case Form.NUMBERS:
            template.numbers(kind)
        case Form.DATE:
            template.date(kind)


def check_period(template: Template, start: bytes | None, end: bytes | None) -> None:
    """Raise CKR_ATTRIBUTE_VALUE_INVALID for a period that ends before it starts."""
    if start and end and end < start:  # digits of one length: their order is that of the days
        raise template.error(CKR.ATTRIBUTE_VALUE_INVALID, CKA.END_DATE, "before CKA_START_DATE")


def label_of(template: Template, raw: bytes | None, default: str) -> str:
    """A label the device takes: 1 to ``MAX_LABEL`` printable ASCII characters; ``default`` for none.
    Raises CKR_ATTRIBUTE_VALUE_INVALID."""
    if not raw:
        return default  # the device wants one
    if not label_fits(raw):
        raise template.error(
            CKR.ATTRIBUTE_VALUE_INVALID, CKA.LABEL,
            f"{len(raw)} bytes; the device takes 1 to {MAX_LABEL} printable ASCII characters",
        )  # fmt: skip
    return raw.decode("ascii")


def label_fits(raw: bytes) -> bool:
    """Whether the device takes it as a label: 1 to ``MAX_LABEL`` printable ASCII characters."""
    return 0 < len(raw) <= MAX_LABEL and raw.isascii() and raw.decode("ascii").isprintable()


def identifier_of(template: Template, raw: bytes | None) -> bytes:
    """An application's own id, at most ``MAX_APPLICATION_ID`` bytes. Raises CKR_ATTRIBUTE_VALUE_INVALID."""
    raw = raw or b""
    if len(raw) > MAX_APPLICATION_ID:
        raise template.error(
            CKR.ATTRIBUTE_VALUE_INVALID, CKA.ID, f"{len(raw)} bytes; at most {MAX_APPLICATION_ID} can be kept"
        )
    return raw
