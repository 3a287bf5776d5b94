"""Certificates and data objects: what a device has no place for, kept by ``stored_files`` in files of
the user. A private data object is hidden before login but lies in its file as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from hem_pkcs11.constants import CKA, CKC, CKM, CKO
from hem_pkcs11.objects.object import Pkcs11Object, unknown_attribute
from hem_pkcs11.values import pack_bool, pack_ulong

__all__ = ["DERIVED", "STORED_DEFAULTS", "StoredObject", "restored_object"]


#: Read from the certificate when the template does not say them.
DERIVED = (CKA.SUBJECT, CKA.ISSUER, CKA.SERIAL_NUMBER, CKA.PUBLIC_KEY_INFO, CKA.CHECK_VALUE)
_COMMON: Mapping[int, bytes] = {
    CKA.LABEL: b"",
    CKA.MODIFIABLE: pack_bool(True),
    CKA.COPYABLE: pack_bool(True),
    CKA.DESTROYABLE: pack_bool(True),
}
#: Attributes that the template does not name.
STORED_DEFAULTS: Mapping[CKO, Mapping[int, bytes]] = MappingProxyType(
    {
        CKO.DATA: {**_COMMON, CKA.APPLICATION: b"", CKA.OBJECT_ID: b"", CKA.VALUE: b""},
        CKO.CERTIFICATE: {
            **_COMMON,
            CKA.CERTIFICATE_TYPE: pack_ulong(CKC.X_509),
            CKA.TRUSTED: pack_bool(False),
            CKA.CERTIFICATE_CATEGORY: pack_ulong(0),
            CKA.JAVA_MIDP_SECURITY_DOMAIN: pack_ulong(0),
            CKA.START_DATE: b"",
            CKA.END_DATE: b"",
            CKA.URL: b"",
            CKA.NAME_HASH_ALGORITHM: pack_ulong(CKM.SHA_1),
            CKA.HASH_OF_SUBJECT_PUBLIC_KEY: b"",
            CKA.HASH_OF_ISSUER_PUBLIC_KEY: b"",
            CKA.ID: b"",
        },
    }
)


class StoredObject(Pkcs11Object):
    """A certificate or data object: its attributes as they are.

    ``key_id``: the CKA_ID of the key in the device that has a given public key
    (SubjectPublicKeyInfo), for a certificate that has none of its own; the key may come to be known
    only later.
    """

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
        self.values = {**STORED_DEFAULTS[object_class], **values}
        self.key_id: Callable[[bytes], bytes | None] = lambda _: None
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
        if kind == CKA.ID and not value:
            return self.key_id(self.values[CKA.PUBLIC_KEY_INFO]) or b""
        return value

    def attribute_types(self) -> Sequence[int]:
        return (CKA.CLASS, CKA.TOKEN, CKA.PRIVATE, CKA.UNIQUE_ID, *self.values)

    def change(self, changes: Mapping[int, bytes]) -> None:
        """Take over values that were checked; what does not belong here is passed over."""
        self.values |= {kind: value for kind, value in changes.items() if kind in self.values}

    def take_over(self, other: StoredObject) -> None:
        """Be as ``other``, of the same class and name, which was read afresh."""
        self.values, self._private = other.values, other.private

    def copy(self, owner: int | None, changes: Mapping[int, bytes]) -> StoredObject:
        """A new object of the same values but for ``changes``, which were checked."""
        private = self._private if CKA.PRIVATE not in changes else changes[CKA.PRIVATE] == pack_bool(True)
        twin = StoredObject(self.object_class, owner, self.values, private=private)
        twin.change(changes)
        twin.key_id = self.key_id
        return twin


def restored_object(
    object_class: CKO, values: Mapping[int, bytes], *, private: bool, name: str
) -> StoredObject:
    """What a file holds; attributes that it lacks have their defaults. Raises ``ValueError``."""
    if object_class not in STORED_DEFAULTS:
        raise ValueError(f"objects of class {object_class.name} are not kept in files")
    if object_class == CKO.CERTIFICATE and not values.get(CKA.VALUE):
        raise ValueError("a certificate without CKA_VALUE")
    defaults = STORED_DEFAULTS[object_class]
    for kind, default in defaults.items():
        size = len(values.get(kind, default))
        if default and size != len(default):
            raise ValueError(f"attribute {kind:#x} has {size} bytes, not {len(default)}")
    if object_class == CKO.CERTIFICATE:
        values = {**dict.fromkeys(DERIVED, b""), **values}
    return StoredObject(object_class, None, values, private=private, name=name)
