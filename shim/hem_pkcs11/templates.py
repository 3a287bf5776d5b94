"""Templates: what a host wants of a new object, and checks that all kinds of objects share.

An attribute the device cannot give is refused, never dropped: a host that asks for an extractable
private key must not get one that is not.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from hem_pkcs11.constants import CKA, CKR, name_of
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import Attribute
from hem_provider.keytypes import MAX_LABEL

__all__ = ["MAX_IDENTIFIER", "Template", "check_fixed", "identifier_of", "label_of"]

#: Longest CKA_ID of an application's own choice, in bytes: what fits beside the mark in ``descr``.
MAX_IDENTIFIER = 40


class Template:
    """Attributes by type, each once. ``name`` says which template, for messages."""

    def __init__(self, name: str, attributes: Sequence[Attribute]) -> None:
        self.name = name
        self._values: dict[int, bytes] = {}
        for kind, value in attributes:
            if self._values.get(kind, value) != value:
                raise self.error(CKR.TEMPLATE_INCONSISTENT, kind, "given twice with different values")
            self._values[kind] = value

    def error(self, rv: CKR, kind: int, text: str) -> Pkcs11Error:
        return Pkcs11Error(rv, f"{self.name} template: {name_of(CKA, kind)}: {text}")

    def __contains__(self, kind: int) -> bool:
        return kind in self._values

    def kinds(self) -> list[int]:
        return list(self._values)

    def raw(self, kind: int) -> bytes | None:
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

    def needed(self, kind: int) -> bytes:
        """A value that must be there. Raises CKR_TEMPLATE_INCOMPLETE."""
        value = self._values.get(kind)
        if value is None:
            raise self.error(CKR.TEMPLATE_INCOMPLETE, kind, "missing")
        return value


def check_fixed(template: Template, fixed: Mapping[int, bytes], read: frozenset[int]) -> None:
    """Refuse attributes that are not in ``read``, and those in ``fixed`` with another value."""
    for kind in template.kinds():
        if kind in fixed:
            if template.raw(kind) != fixed[kind]:
                raise template.error(
                    CKR.TEMPLATE_INCONSISTENT, kind, f"the device makes keys with {fixed[kind].hex()} only"
                )
        elif kind not in read:
            raise template.error(CKR.ATTRIBUTE_TYPE_INVALID, kind, "not for such an object")


def label_of(template: Template, raw: bytes | None, default: str) -> str:
    """A label the device takes; ``default`` for none. Raises CKR_ATTRIBUTE_VALUE_INVALID."""
    if not raw:
        return default  # the device wants one
    text = raw.decode("ascii", "replace")
    if len(raw) > MAX_LABEL or not raw.isascii() or not text.isprintable():
        raise template.error(
            CKR.ATTRIBUTE_VALUE_INVALID, CKA.LABEL,
            f"{len(raw)} bytes; the device takes 1 to {MAX_LABEL} printable ASCII characters",
        )  # fmt: skip
    return text


def identifier_of(template: Template, raw: bytes | None) -> bytes:
    """An application's own id. Raises CKR_ATTRIBUTE_VALUE_INVALID."""
    raw = raw or b""
    if len(raw) > MAX_IDENTIFIER:
        raise template.error(
            CKR.ATTRIBUTE_VALUE_INVALID, CKA.ID, f"{len(raw)} bytes; at most {MAX_IDENTIFIER} can be kept"
        )
    return raw
