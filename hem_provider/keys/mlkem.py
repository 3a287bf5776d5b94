"""ML-KEM-768 and -1024 keys on a device (FIPS 203). Needs cryptography 47 or newer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import mlkem

from hem_provider.keys.mlkem512 import decapsulate
from hem_provider.keys.remote import RemotePrivateKey

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["HemMLKEM768PrivateKey", "HemMLKEM1024PrivateKey"]


class _Decapsulator(RemotePrivateKey[Any]):
    """What both share."""

    def decapsulate(self, ciphertext: Buffer) -> bytes:
        """The 32-byte shared secret. ``ValueError`` for a ciphertext of the wrong size."""
        return decapsulate(self._key, ciphertext)


class HemMLKEM768PrivateKey(_Decapsulator, mlkem.MLKEM768PrivateKey):
    """An ML-KEM-768 key whose ``decapsulate`` runs on the device; 1088-byte ciphertexts."""


class HemMLKEM1024PrivateKey(_Decapsulator, mlkem.MLKEM1024PrivateKey):
    """An ML-KEM-1024 key whose ``decapsulate`` runs on the device; 1568-byte ciphertexts."""
