"""What keys in the module's memory have in common: they belong to the session that made them."""

from __future__ import annotations

from collections.abc import Mapping

from hem_pkcs11.constants import CKA, CKO
from hem_pkcs11.objects.object import Pkcs11Object
from hem_pkcs11.values import unpack_ulongs

__all__ = ["SessionKey"]


class SessionKey(Pkcs11Object):
    """``kept``: attributes as the template gave them, that are no more than read back or that bind who
    works with the key."""

    def __init__(
        self, object_class: CKO, owner: int, label: bytes, identifier: bytes, kept: Mapping[int, bytes]
    ) -> None:
        super().__init__(object_class, owner)
        self.label = label
        self.identifier = identifier
        self.kept = dict(kept)

    def forbids(self, mechanism: int) -> bool:
        allowed = self.kept.get(CKA.ALLOWED_MECHANISMS)
        return allowed is not None and mechanism not in unpack_ulongs(allowed)

    def keep(self, changes: Mapping[int, bytes]) -> None:
        """Take over values that were checked; what does not belong here is passed over."""
        self.label = changes.get(CKA.LABEL, self.label)
        self.identifier = changes.get(CKA.ID, self.identifier)
