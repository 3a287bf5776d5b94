"""Signing with a key of the device: the whole message goes there, the size is known here."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKA, CKF, CKO
from hem_pkcs11.encodings import fixed_from_der
from hem_pkcs11.mechanisms import MechanismRow, Scheme, mechanism_row
from hem_pkcs11.objects.device_keys import DeviceKey
from hem_pkcs11.objects.object import Pkcs11Object
from hem_pkcs11.operations import deliver
from hem_pkcs11.operations.collect import Collector
from hem_pkcs11.operations.key_checks import check_use
from hem_pkcs11.operations.mac import MAC_SCHEMES, Mac
from hem_pkcs11.signing import device_algorithm
from hem_pkcs11.values import Buffer, Mechanism

if TYPE_CHECKING:
    from hem_provider.device.hem import Hem

__all__ = ["SignOperation", "signer"]


class SignOperation:
    """``C_SignInit`` … ``C_Sign`` or ``C_SignUpdate``, ``C_SignFinal``."""

    def __init__(self, size: int, message: Collector) -> None:
        self._size = size
        self._message = message
        self.parts = 0
        self.key_handle = 0

    def update(self, part: Buffer) -> None:
        """Take in a part. Raises CKR_DATA_LEN_RANGE in the very call that passes what the device takes."""
        self._message.add(part)
        self.parts += 1

    def finish(self, data: Buffer | None, room: int | None) -> bytes | int:
        """The signature of ``data``, or of the parts; its size when that is all that is asked."""
        if not deliver(self._size, room):
            return self._size
        return self._signature(self._message.whole(data))

    def _signature(self, message: bytes) -> bytes:
        raise NotImplementedError

    def saved(self) -> SignOperation:
        """A copy to be kept: it holds no secret."""
        twin = copy.copy(self)
        twin._message = self._message.copy()
        return twin

    def resumed(self, item: Pkcs11Object) -> SignOperation:  # noqa: ARG002 - some need it
        """The same operation going on by itself from here, with the key it was begun with."""
        return SignOperation.saved(self)

    def close(self) -> None:
        """Overwrite what was collected."""
        self._message.clear()


class _DeviceSignature(SignOperation):
    """ECDSA, EdDSA, ML-DSA."""

    def __init__(self, hem: Hem, item: DeviceKey, row: MechanismRow, mechanism: Mechanism) -> None:
        super().__init__(
            item.kind.type.signature_size or 0,
            Collector(f"signing with {item.describe()}", hem.limits.message),
        )
        self._hem = hem
        self._item = item
        self._scheme = row.scheme
        self._algorithm, self._context = device_algorithm(
            row, mechanism, item.kind.type.name, hem.limits.context
        )

    def _signature(self, message: bytes) -> bytes:
        key = self._item.key
        if self._scheme is Scheme.MLDSA:
            private = key.private_key()
            return bytes(private.sign(message, self._context))  # type: ignore[union-attr,call-arg,arg-type]
        signature = self._hem.sign(key.kid, message, self._algorithm, context=self._context)
        return fixed_from_der(signature, self._size) if self._scheme is Scheme.ECDSA else signature


class _MacSignature(SignOperation):
    """HMAC and CMAC."""

    def __init__(self, mac: Mac) -> None:
        super().__init__(mac.size, mac.collector())
        self._mac: Mac | None = mac
        self._make = mac.over

    def _signature(self, message: bytes) -> bytes:
        assert self._mac is not None  # noqa: S101 - what is saved does not sign
        return self._mac.compute(message)

    def saved(self) -> _MacSignature:
        twin = copy.copy(self)
        twin._message, twin._mac = self._message.copy(), None
        return twin

    def resumed(self, item: Pkcs11Object) -> _MacSignature:
        twin = self.saved()
        twin._mac = self._make(item)
        return twin

    def close(self) -> None:
        super().close()
        if self._mac is not None:
            self._mac.close()


def signer(hem: Hem, item: Pkcs11Object, mechanism: Mechanism) -> SignOperation:
    """The operation for ``C_SignInit``.

    Raises CKR_MECHANISM_INVALID, CKR_MECHANISM_PARAM_INVALID, and what ``check_use`` does.
    """
    row = mechanism_row(mechanism.type, CKF.SIGN)
    by_mac = row.scheme in MAC_SCHEMES
    check_use(item, row, CKO.SECRET_KEY if by_mac else CKO.PRIVATE_KEY, CKA.SIGN)
    if by_mac:
        return _MacSignature(Mac(item, row, mechanism))
    assert isinstance(item, DeviceKey)  # noqa: S101 - private keys are in the device, all of them
    return _DeviceSignature(hem, item, row, mechanism)
