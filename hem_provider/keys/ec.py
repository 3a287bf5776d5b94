"""NIST P-256, P-384, P-521 and secp256k1 keys on a device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from hem_provider.arguments import as_bytes
from hem_provider.keys.capabilities import check_usage, device_parameter, hash_parameter
from hem_provider.keys.public import CURVES, device_form
from hem_provider.keys.remote import RemotePrivateKey
from hem_provider.keytypes import RAW_SECRET

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["HemECPrivateKey"]


class HemECPrivateKey(RemotePrivateKey[ec.EllipticCurvePublicKey], ec.EllipticCurvePrivateKey):
    """An EC key whose ``sign`` and ``exchange`` run on the device."""

    @property
    def curve(self) -> ec.EllipticCurve:
        """The curve; no I/O."""
        return CURVES[self._key.type.name]

    @property
    def key_size(self) -> int:
        """Bits of the field; no I/O."""
        return self._key.type.bits

    def sign(self, data: Buffer, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """ECDSA over 1…``MAX_MESSAGE`` bytes with SHA-256, SHA-384 or SHA-512; DER.

        ``UnsupportedAlgorithm`` for anything else: the device hashes itself, so ``Prehashed``
        cannot work, and it chooses the nonce, so deterministic signing cannot be asked for.
        ``MessageTooLong`` (a ``ValueError``) for more, ``ValueError`` for nothing.
        """
        algorithm = device_parameter(self._key, "sign", digest_of(signature_algorithm))
        check_usage(self._key, "sign")
        return self._key.operations.sign(self.kid, as_bytes("data", data), algorithm)

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        """ECDH (SP 800-56A §5.7.1.2) for P-256 and secp256k1: 32 bytes.

        ``UnsupportedAlgorithm`` for P-384 and P-521, whose secret firmware 1.2.2 cuts to 32
        bytes; ``exchange_hashed`` works for all. ``ValueError`` for a peer on another curve.
        """
        if not isinstance(algorithm, ec.ECDH):
            raise UnsupportedAlgorithm(f"exchange: {algorithm!r}; possible: ec.ECDH()")
        peer = self._peer(peer_public_key)
        if self._key.type.secret_size != RAW_SECRET:
            raise UnsupportedAlgorithm(
                f"exchange with {self._key.type.name}: the device gives {RAW_SECRET} of the secret's "
                f"{self._key.type.secret_size} bytes; use exchange_hashed(hashes.SHA256(), peer) instead"
            )
        check_usage(self._key, "derive")
        return self._key.operations.ecdh(self.kid, peer)

    def exchange_hashed(
        self, algorithm: hashes.HashAlgorithm, peer_public_key: ec.EllipticCurvePublicKey
    ) -> bytes:
        """The digest of the whole ECDH secret (its X coordinate), made on the device.

        ``algorithm``: SHA-2 or SHA-3 of 256, 384 or 512 bits. ``UnsupportedAlgorithm`` for another,
        ``TypeError`` and ``ValueError`` for a peer that is no public key of the curve; no call.
        """
        literal = hash_parameter(self._key, "exchange_hashed", algorithm)
        peer = self._peer(peer_public_key)
        check_usage(self._key, "derive")
        return self._key.operations.ecdh(self.kid, peer, algorithm=literal)

    def _peer(self, public: ec.EllipticCurvePublicKey) -> bytes:
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise TypeError(f"peer_public_key: {type(public).__name__}; accepted: EllipticCurvePublicKey")
        if public.curve.name != self.curve.name:
            raise ValueError(f"peer_public_key: on {public.curve.name}; this key is on {self.curve.name}")
        return device_form(public)


def digest_of(algorithm: ec.EllipticCurveSignatureAlgorithm) -> str:
    """The digest's name in ``cryptography``. ``UnsupportedAlgorithm`` for what no device does."""
    if not isinstance(algorithm, ec.ECDSA):
        raise UnsupportedAlgorithm(f"sign: {type(algorithm).__name__}; possible: ec.ECDSA(hash)")
    if isinstance(algorithm.algorithm, Prehashed):
        raise UnsupportedAlgorithm(
            "sign: the device hashes the message itself and cannot sign a digest; "
            "pass the message and ec.ECDSA(hash) without Prehashed"
        )
    if getattr(algorithm, "deterministic_signing", False):
        raise UnsupportedAlgorithm(
            "sign: the device chooses the nonce; deterministic signing is not possible"
        )
    return algorithm.algorithm.name
