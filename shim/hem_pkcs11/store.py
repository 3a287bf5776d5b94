"""Certificates and data objects: what a device has no place for, kept by ``stored_files`` in files of
the user. A private data object is hidden before login but lies in its file as it is.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence

from hem_pkcs11.constants import CKA, CKC, CKO, CKR
from hem_pkcs11.items import Item, unknown_attribute
from hem_pkcs11.templates import Template
from hem_pkcs11.values import pack_bool, pack_ulong

__all__ = ["StoredObject", "restored_object", "stored_object"]

_DEFAULTS: Mapping[int, bytes] = {
    CKA.LABEL: b"",
    CKA.MODIFIABLE: pack_bool(True),
    CKA.COPYABLE: pack_bool(True),
    CKA.DESTROYABLE: pack_bool(True),
}
_DATA: Mapping[int, bytes] = {**_DEFAULTS, CKA.APPLICATION: b"", CKA.OBJECT_ID: b"", CKA.VALUE: b""}
_CERTIFICATE: Mapping[int, bytes] = {
    **_DEFAULTS,
    CKA.CERTIFICATE_TYPE: pack_ulong(CKC.X_509),
    CKA.TRUSTED: pack_bool(False),
    CKA.CERTIFICATE_CATEGORY: pack_ulong(0),
    CKA.JAVA_MIDP_SECURITY_DOMAIN: pack_ulong(0),
    CKA.START_DATE: b"",
    CKA.END_DATE: b"",
    CKA.URL: b"",
    CKA.HASH_OF_SUBJECT_PUBLIC_KEY: b"",
    CKA.HASH_OF_ISSUER_PUBLIC_KEY: b"",
}
#: Read from the certificate when the template does not say them.
_DERIVED = (CKA.SUBJECT, CKA.ISSUER, CKA.SERIAL_NUMBER, CKA.ID, CKA.PUBLIC_KEY_INFO, CKA.CHECK_VALUE)
_ALLOWED = {
    CKO.DATA: frozenset(_DATA),
    CKO.CERTIFICATE: frozenset(_CERTIFICATE) | {CKA.VALUE, CKA.NAME_HASH_ALGORITHM, *_DERIVED},
}


class StoredObject(Item):
    """A certificate or data object: its attributes as they are."""

    def __init__(
        self,
        object_class: CKO,
        owner: int | None,
        values: Mapping[int, bytes],
        *,
        private: bool,
        name: str = "",
    ) -> None:
        super().__init__(object_class, owner)
        self.values = dict(values)
        self._private = private
        self.name = name or os.urandom(16).hex()

    @property
    def private(self) -> bool:
        return self._private

    def describe(self) -> str:
        return f"{self.object_class.name.lower()} {self.values[CKA.LABEL].decode(errors='replace')!r}"

    def own_attribute(self, kind: int) -> bytes:
        if kind == CKA.UNIQUE_ID:
            return self.name.encode()
        value = self.values.get(kind)
        if value is None:
            raise unknown_attribute()
        return value

    def attribute_types(self) -> Sequence[int]:
        return (CKA.CLASS, CKA.TOKEN, CKA.PRIVATE, CKA.UNIQUE_ID, *self.values)

    def change(self, changes: Mapping[int, bytes]) -> None:
        self.values |= {kind: value for kind, value in changes.items() if kind in self.values}

    def take_over(self, other: StoredObject) -> None:
        """Be as ``other``, of the same class and name, which was read afresh."""
        self.values, self._private = other.values, other.private

    def copy(self, owner: int | None) -> StoredObject:
        return StoredObject(self.object_class, owner, self.values, private=self._private)


def stored_object(
    template: Template, owner: int | None, key_id: Callable[[bytes], bytes | None]
) -> StoredObject:
    """What a template for C_CreateObject describes. ``key_id``: the CKA_ID of the key in the device
    that has a given public key (SubjectPublicKeyInfo)."""
    object_class = CKO(template.number(CKA.CLASS) or 0)
    for kind in template.kinds():
        if kind not in _ALLOWED[object_class] and kind not in (CKA.CLASS, CKA.TOKEN, CKA.PRIVATE):
            raise template.error(
                CKR.ATTRIBUTE_TYPE_INVALID, kind, f"not for {object_class.name.lower()} objects"
            )
    given = {kind: template.needed(kind) for kind in template.kinds() if kind in _ALLOWED[object_class]}
    for flag in (CKA.MODIFIABLE, CKA.COPYABLE, CKA.DESTROYABLE):
        template.flag(flag)
    private = template.flag(CKA.PRIVATE)
    if object_class == CKO.DATA:
        values = {**_DATA, **given}
    else:
        values = _certificate(template, given, key_id)
        if template.flag(CKA.TRUSTED):
            raise template.error(CKR.ATTRIBUTE_READ_ONLY, CKA.TRUSTED, "only a security officer could say so")
    return StoredObject(object_class, owner, values, private=bool(private))


def _certificate(
    template: Template, given: Mapping[int, bytes], key_id: Callable[[bytes], bytes | None]
) -> dict[int, bytes]:
    if template.number(CKA.CERTIFICATE_TYPE) not in (None, CKC.X_509):
        raise template.error(CKR.ATTRIBUTE_VALUE_INVALID, CKA.CERTIFICATE_TYPE, "accepted: CKC_X_509")
    der = template.needed(CKA.VALUE)
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        read = x509.load_der_x509_certificate(der)
        public = read.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except Exception:  # whatever the parser finds wrong with it
        raise template.error(CKR.ATTRIBUTE_VALUE_INVALID, CKA.VALUE, "no X.509 certificate in DER") from None
    number = read.serial_number
    content = number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)
    values = {
        **_CERTIFICATE,
        CKA.SUBJECT: read.subject.public_bytes(),
        CKA.ISSUER: read.issuer.public_bytes(),
        CKA.SERIAL_NUMBER: bytes((0x02, len(content))) + content,
        CKA.PUBLIC_KEY_INFO: public,
        CKA.CHECK_VALUE: hashlib.sha1(der, usedforsecurity=False).digest()[:3],
        CKA.ID: b"",
        **given,
    }
    if not values[CKA.ID]:
        values[CKA.ID] = key_id(public) or b""
    return values


def restored_object(
    object_class: CKO, values: Mapping[int, bytes], *, private: bool, name: str
) -> StoredObject:
    """What a file holds; attributes that it lacks have their defaults. Raises ``ValueError``."""
    if object_class not in _ALLOWED:
        raise ValueError(f"objects of class {object_class.name} are not kept in files")
    if object_class == CKO.CERTIFICATE and not values.get(CKA.VALUE):
        raise ValueError("a certificate without CKA_VALUE")
    defaults = _DATA if object_class == CKO.DATA else _CERTIFICATE
    for kind, default in defaults.items():
        size = len(values.get(kind, default))
        if default and size != len(default):
            raise ValueError(f"attribute {kind:#x} has {size} bytes, not {len(default)}")
    if object_class == CKO.CERTIFICATE:
        defaults = {**defaults, **dict.fromkeys(_DERIVED, b"")}
    return StoredObject(object_class, None, {**defaults, **values}, private=private, name=name)
