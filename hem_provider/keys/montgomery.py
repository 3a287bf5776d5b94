"""X25519 and X448 keys on a device (RFC 7748)."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import x448, x25519

from hem_provider.keys.capabilities import check_usage, hash_parameter
from hem_provider.keys.public import device_form
from hem_provider.keys.remote import RemotePrivateKey
from hem_provider.keytypes import RAW_SECRET
from hem_provider.publickeys import check_agreeable

__all__ = ["HemX448PrivateKey", "HemX25519PrivateKey"]

PublicT = TypeVar("PublicT")


class _Hashed(RemotePrivateKey[PublicT]):
    """What both share: agreement hashed on the device."""

    def exchange_hashed(self, algorithm: hashes.HashAlgorithm, peer_public_key: PublicT) -> bytes:
        """The digest of the whole shared secret, made on the device.

        ``algorithm``: SHA-2 or SHA-3 of 256, 384 or 512 bits. ``ValueError`` for a peer that makes the
        secret all zero; no call.
        """
        literal = hash_parameter(self._key, "exchange_hashed", algorithm)
        peer = self._agreeable(peer_public_key)
        check_usage(self._key, "derive")
        return self._key.operations.ecdh(self.kid, peer, algorithm=literal)

    def _agreeable(self, public: PublicT) -> bytes:
        peer = self._peer(public)
        try:
            check_agreeable(self._key.type, peer)
        except ValueError as error:
            raise ValueError(f"peer_public_key: {error}; the shared secret is zero") from None
        return peer

    def _peer(self, public: Any) -> bytes:
        raise NotImplementedError


def _wrong(public: object, wanted: str) -> TypeError:
    return TypeError(f"peer_public_key: {type(public).__name__}; accepted: {wanted}")


class HemX25519PrivateKey(_Hashed[x25519.X25519PublicKey], x25519.X25519PrivateKey):
    """An X25519 key whose ``exchange`` runs on the device."""

    def exchange(self, peer_public_key: x25519.X25519PublicKey) -> bytes:
        """The 32-byte shared secret. ``ValueError`` for a peer that makes it all zero."""
        peer = self._agreeable(peer_public_key)
        check_usage(self._key, "derive")
        return self._key.operations.ecdh(self.kid, peer)

    def _peer(self, public: Any) -> bytes:
        if not isinstance(public, x25519.X25519PublicKey):
            raise _wrong(public, "X25519PublicKey")
        return device_form(public)


class HemX448PrivateKey(_Hashed[x448.X448PublicKey], x448.X448PrivateKey):
    """An X448 key whose ``exchange_hashed`` runs on the device."""

    def exchange(self, peer_public_key: x448.X448PublicKey) -> NoReturn:
        """Refused, ``UnsupportedAlgorithm``: firmware 1.2.2 gives 32 of the secret's 56 bytes. Use
        ``exchange_hashed``."""
        self._peer(peer_public_key)
        raise UnsupportedAlgorithm(
            f"exchange with CURVE448: the device gives {RAW_SECRET} of the secret's "
            f"{self._key.type.secret_size} bytes; "
            "use exchange_hashed(hashes.SHA256(), peer) instead"
        )

    def _peer(self, public: Any) -> bytes:
        if not isinstance(public, x448.X448PublicKey):
            raise _wrong(public, "X448PublicKey")
        return device_form(public)
