"""Ed25519 and Ed448 keys on a device, and their variants (RFC 8032).

The key classes sign as ``cryptography``'s do: Ed25519, and Ed448 with the empty context. The
variants it has no interface for are classes beside them, which refer to the same key::

    Ed25519ph(key, context=b"app").sign(data)
    Ed25519ctx(key, context=b"app").verify(signature, data)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519

from hem_provider.arguments import as_bytes
from hem_provider.device.key import Key
from hem_provider.keys.capabilities import check_usage, device_parameter
from hem_provider.keys.remote import RemotePrivateKey

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "Ed448ctx",
    "Ed448ph",
    "Ed25519ctx",
    "Ed25519ph",
    "HemEd448PrivateKey",
    "HemEd25519PrivateKey",
]


class HemEd25519PrivateKey(RemotePrivateKey[ed25519.Ed25519PublicKey], ed25519.Ed25519PrivateKey):
    """An Ed25519 key whose ``sign`` runs on the device."""

    def sign(self, data: Buffer) -> bytes:
        """Ed25519 over 1…``MAX_MESSAGE`` bytes: 64 bytes. ``MessageTooLong`` or ``ValueError`` for others."""
        return _sign(self._key, "ed25519", data)


class HemEd448PrivateKey(RemotePrivateKey[ed448.Ed448PublicKey], ed448.Ed448PrivateKey):
    """An Ed448 key whose ``sign`` runs on the device."""

    def sign(self, data: Buffer) -> bytes:
        """Ed448 with the empty context over 1…``MAX_MESSAGE`` bytes: 114 bytes. Errors as for Ed25519."""
        return _sign(self._key, "ed448", data)


class _Variant:
    """A variant of EdDSA with one key and one context. Verifying asks the device: no common library has
    these. ``UnsupportedAlgorithm`` for a key of another type, ``ValueError`` for another size of context."""

    type_name: ClassVar[str]
    algorithm: ClassVar[str]
    smallest_context: ClassVar[int] = 0

    def __init__(self, key: Key, *, context: bytes = b"") -> None:
        if key.type.name != self.type_name:
            raise UnsupportedAlgorithm(
                f"{type(self).__name__}: key {key.kid} is {key.type.name}, not {self.type_name}"
            )
        context = as_bytes("context", context)
        most = key.operations.limits.context
        if not self.smallest_context <= len(context) <= most:
            raise ValueError(f"context: {len(context)} bytes; accepted: {self.smallest_context} to {most}")
        self._key = key
        self._context = context

    def sign(self, data: Buffer) -> bytes:
        """Sign 1…``MAX_MESSAGE`` bytes: a raw signature. ``MessageTooLong`` or ``ValueError`` for others."""
        return _sign(self._key, self.algorithm, data, self._context)

    def verify(self, signature: Buffer, data: Buffer) -> None:
        """Raises ``InvalidSignature``; ``HemKeyNotFound`` when the key is gone."""
        literal = device_parameter(self._key, "sign", self.algorithm)
        signature, data = as_bytes("signature", signature), as_bytes("data", data)
        if len(signature) != self._key.type.signature_size or not self._key.operations.verify(
            self._key.kid, data, signature, literal, context=self._context
        ):
            raise InvalidSignature

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._key!r}>"


class Ed25519ph(_Variant):
    """Ed25519ph: the device hashes the message with SHA-512 first. Context 0–``MAX_CONTEXT`` bytes."""

    type_name, algorithm = "ED25519", "ed25519ph"


class Ed25519ctx(_Variant):
    """Ed25519ctx. Context 1–``MAX_CONTEXT`` bytes."""

    type_name, algorithm, smallest_context = "ED25519", "ed25519ctx", 1


class Ed448ctx(_Variant):
    """Ed448 with a context of 0–``MAX_CONTEXT`` bytes; with none it is plain Ed448."""

    type_name, algorithm = "ED448", "ed448"


class Ed448ph(_Variant):
    """Ed448ph: the device hashes the message with SHAKE256 first. Context 0–``MAX_CONTEXT`` bytes."""

    type_name, algorithm = "ED448", "ed448ph"


def _sign(key: Key, algorithm: str, data: Buffer, context: bytes = b"") -> bytes:
    literal = device_parameter(key, "sign", algorithm)
    check_usage(key, "sign")
    return key.operations.sign(key.kid, as_bytes("data", data), literal, context=context or None)
