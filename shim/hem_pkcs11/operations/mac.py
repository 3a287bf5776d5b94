"""MACs: HMAC and CMAC, with keys in the device or in the session."""

from __future__ import annotations

import copy
import hashlib
import hmac
import struct

from hem_pkcs11.aes import aes_cmac
from hem_pkcs11.constants import CKR
from hem_pkcs11.mechanisms import MechanismRow, Scheme, no_parameter
from hem_pkcs11.objects.device_keys import DeviceKey
from hem_pkcs11.objects.object import Pkcs11Object
from hem_pkcs11.objects.secret_keys import SessionSecretKey
from hem_pkcs11.operations.collect import Collector
from hem_pkcs11.operations.digest import hash_algorithm
from hem_pkcs11.operations.modes import BLOCK
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import Mechanism

__all__ = ["MAC_SCHEMES", "Mac"]

MAC_SCHEMES = frozenset({Scheme.HMAC, Scheme.CMAC})


class Mac:
    """One MAC function with its key, which it holds until ``close``. ``size``: bytes of the result. Making
    one raises CKR_MECHANISM_PARAM_INVALID."""

    def __init__(self, item: Pkcs11Object, row: MechanismRow, mechanism: Mechanism) -> None:
        self._row = row
        whole = BLOCK if row.scheme is Scheme.CMAC else hashlib.new(row.hash).digest_size
        self.size = _general_size(mechanism, whole) if row.general else whole
        if not row.general:
            no_parameter(row, mechanism)
        self._item = item.held()

    def over(self, item: Pkcs11Object) -> Mac:
        """The same function holding the key for another user."""
        twin = copy.copy(self)
        twin._item = item.held()
        return twin

    def close(self) -> None:
        """Let go of the key."""
        self._item.close()

    def collector(self) -> Collector:
        """The device's HMAC takes what any of its operations take; the others have no limit."""
        limit = None
        if isinstance(self._item, DeviceKey) and self._row.scheme is Scheme.HMAC:
            limit = self._item.key.operations.limits.message
        return Collector(f"MAC with {self._item.describe()}", limit)

    def compute(self, message: bytes) -> bytes:
        """``size`` bytes of the MAC of ``message``.

        Raises the device layer's errors for a key in the device, and CKR_KEY_HANDLE_INVALID for a session
        key that is gone.
        """
        return self._whole(message)[: self.size]

    def _whole(self, message: bytes) -> bytes:
        if self._row.scheme is Scheme.CMAC:
            return aes_cmac(self._item, message)
        if isinstance(self._item, SessionSecretKey):
            return hmac.digest(self._item.value, message, self._row.hash)
        assert isinstance(self._item, DeviceKey)  # noqa: S101 - no other secret keys
        from hem_provider.symmetric import HMAC

        context = HMAC(self._item.key, hash_algorithm(self._row.hash))
        context.update(message)
        return context.finalize()


def _general_size(mechanism: Mechanism, whole: int) -> int:
    """CK_MAC_GENERAL_PARAMS: a CK_ULONG with the length of the result in bytes."""
    parameter = mechanism.parameter
    if isinstance(parameter, bytes) and len(parameter) == struct.calcsize("L"):
        size = int(struct.unpack("L", parameter)[0])
        if 0 < size <= whole:
            return size
    raise Pkcs11Error(CKR.MECHANISM_PARAM_INVALID, f"the parameter is the length of the MAC, 1 to {whole}")
