"""ML-DSA-44, -65 and -87 keys on a device (FIPS 204). Needs cryptography 47 or newer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import mldsa

from hem_provider.arguments import as_bytes
from hem_provider.keys.capabilities import check_usage
from hem_provider.keys.remote import RemotePrivateKey

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["HemMLDSA44PrivateKey", "HemMLDSA65PrivateKey", "HemMLDSA87PrivateKey"]


class _Signer(RemotePrivateKey[Any]):
    """What the three parameter sets share."""

    def sign(self, data: Buffer, context: Buffer | None = None) -> bytes:
        """ML-DSA over 1…``MAX_MESSAGE`` bytes with a context of up to ``MAX_CONTEXT`` bytes; verify locally
        with ``public_key()``. ``MessageTooLong`` for more, ``ValueError`` for none."""
        own = None if context is None else as_bytes("context", context)
        check_usage(self._key, "sign")
        return self._key.operations.mldsa_sign(self.kid, as_bytes("data", data), context=own)

    def sign_mu(self, mu: Buffer) -> NoReturn:
        """Refused: the device computes mu itself from the whole message."""
        size = len(as_bytes("mu", mu))
        most = self._key.operations.limits.message
        raise UnsupportedAlgorithm(
            f"sign_mu with {size} bytes: the device takes the message itself, of up to {most} bytes"
        )


class HemMLDSA44PrivateKey(_Signer, mldsa.MLDSA44PrivateKey):
    """An ML-DSA-44 key whose ``sign`` runs on the device; 2420-byte signatures."""


class HemMLDSA65PrivateKey(_Signer, mldsa.MLDSA65PrivateKey):
    """An ML-DSA-65 key whose ``sign`` runs on the device; 3309-byte signatures."""


class HemMLDSA87PrivateKey(_Signer, mldsa.MLDSA87PrivateKey):
    """An ML-DSA-87 key whose ``sign`` runs on the device; 4627-byte signatures."""
