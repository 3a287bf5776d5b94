"""Ed25519 keys on a device (RFC 8032)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ed25519

from hem_provider.errors import HemProtocolError
from hem_provider.keys.capabilities import check_usage, device_parameter
from hem_provider.keys.remote import RemotePrivateKey

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["HemEd25519PrivateKey"]


class HemEd25519PrivateKey(RemotePrivateKey[ed25519.Ed25519PublicKey], ed25519.Ed25519PrivateKey):
    """An Ed25519 key whose ``sign`` runs on the device."""

    def sign(self, data: Buffer) -> bytes:
        """Ed25519 over 1…2048 bytes; 64 bytes. ``MessageTooLong`` for more, ``ValueError`` for 0."""
        literal = device_parameter(self._key, "sign", "ed25519")
        check_usage(self._key, "sign")
        signature = self._key.operations.sign(self.kid, bytes(data), literal)
        if len(signature) != self._key.type.signature_size:
            raise HemProtocolError(f"key {self.kid}: a signature of {len(signature)} bytes")
        return signature
