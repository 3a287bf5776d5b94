"""Signing with a key of the device: the whole message goes there, the size is known here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKF, CKK, CKO, CKR
from hem_pkcs11.encodings import fixed_from_der
from hem_pkcs11.mechanisms import Row, device_algorithm, row_of
from hem_pkcs11.objects import KeyObject
from hem_pkcs11.operations import deliver
from hem_pkcs11.operations.collect import Collector
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import Buffer, Mechanism

if TYPE_CHECKING:
    from hem_provider.device import Hem

__all__ = ["SignOperation", "check_key"]


def check_key(item: KeyObject, row: Row, object_class: CKO, permitted: bool) -> None:
    """Refuse a key that the mechanism or the key's own usage rules out."""
    if item.object_class != object_class or item.kind.key_type not in row.key_types:
        raise Pkcs11Error(
            CKR.KEY_TYPE_INCONSISTENT,
            f"CKM_{row.type.name} needs a {object_class.name.lower()} of another type than "
            f"{item.describe()}, a {item.kind.type.name} {item.object_class.name.lower()}",
        )
    if not permitted:
        raise Pkcs11Error(
            CKR.KEY_FUNCTION_NOT_PERMITTED, f"{item.describe()} was not made for signing (mode ExDSA)"
        )


class SignOperation:
    """``C_SignInit`` … ``C_Sign`` or ``C_SignUpdate``, ``C_SignFinal``."""

    def __init__(self, hem: Hem, item: KeyObject, mechanism: Mechanism) -> None:
        row = row_of(mechanism.type, CKF.SIGN)
        check_key(item, row, CKO.PRIVATE_KEY, item.key.attributes.exdsa)
        self._hem = hem
        self._item = item
        self._algorithm, self._context = device_algorithm(row, mechanism, item.kind.type.name)
        size = item.kind.type.signature_size
        if size is None:
            raise Pkcs11Error(CKR.KEY_TYPE_INCONSISTENT, f"{item.describe()} makes no signatures")
        self._size = size
        self._message = Collector(f"signing with {item.describe()}")
        self.parts = 0

    def update(self, part: Buffer) -> None:
        self._message.add(part)
        self.parts += 1

    def finish(self, data: Buffer | None, room: int | None) -> bytes | int:
        """The signature of ``data``, or of the parts; its size when that is all that is asked."""
        if not deliver(self._size, room):
            return self._size
        message = self._message.whole(data)
        signature = self._hem.sign(self._item.key.kid, message, self._algorithm, context=self._context)
        if self._item.kind.key_type == CKK.EC:
            return fixed_from_der(signature, self._size)
        return signature

    def close(self) -> None:
        self._message.clear()
