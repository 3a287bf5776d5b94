"""Objects that describe the token itself: profiles and mechanisms (PKCS#11 3.0, 4.3, 4.12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hem_pkcs11.constants import CKA, CKO, CKP
from hem_pkcs11.mechanisms import MECHANISMS
from hem_pkcs11.objects.object import Pkcs11Object, unknown_attribute
from hem_pkcs11.values import pack_bool, pack_ulong

__all__ = ["BuiltInObject", "built_in_objects"]


class BuiltInObject(Pkcs11Object):
    """Read-only, always there, answered from memory."""

    def __init__(self, object_class: CKO, values: Mapping[int, bytes]) -> None:
        super().__init__(object_class)
        self._values = {
            **values,
            CKA.MODIFIABLE: pack_bool(False),
            CKA.COPYABLE: pack_bool(False),
            CKA.DESTROYABLE: pack_bool(False),
        }

    @property
    def private(self) -> bool:
        return False

    @property
    def by_class_only(self) -> bool:
        return True

    def describe(self) -> str:
        return f"{self.object_class.name.lower()} object"

    def own_attribute(self, kind: int) -> bytes:
        value = self._values.get(kind)
        if value is None:
            raise unknown_attribute()
        return value

    def attribute_types(self) -> Sequence[int]:
        return (CKA.CLASS, CKA.TOKEN, CKA.PRIVATE, *self._values)


def built_in_objects() -> list[BuiltInObject]:
    """One for each profile that holds, and for each mechanism."""
    return [
        BuiltInObject(CKO.PROFILE, {CKA.PROFILE_ID: pack_ulong(CKP.BASELINE_PROVIDER)}),
        *(BuiltInObject(CKO.MECHANISM, {CKA.MECHANISM_TYPE: pack_ulong(each)}) for each in MECHANISMS),
    ]
