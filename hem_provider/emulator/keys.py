"""Key material: generation, public halves, and key agreement, as pure functions over raw bytes.

Private keys are stored raw: big-endian scalars for SECP*, RFC 7748/8032 bytes for the others, FIPS 203/204
seeds for the post-quantum types. Loaded key objects are kept in memory, since loading costs more than using.
"""

from __future__ import annotations

import functools
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, x448, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hem_provider.emulator.keytypes import KEY_TYPES, Family, KeyType

__all__ = [
    "Material",
    "agree",
    "ec_private",
    "ec_public",
    "from_secret",
    "generate",
    "kid_of",
    "shrink_to_scalar",
]

_CURVES: dict[str, ec.EllipticCurve] = {
    "SECP256R1": ec.SECP256R1(),
    "SECP384R1": ec.SECP384R1(),
    "SECP521R1": ec.SECP521R1(),
    "SECP256K1": ec.SECP256K1(),
}
_CACHED = 512


@dataclass(frozen=True, slots=True)
class Material:
    """A key as stored: ``secret`` empty for public keys, ``public`` empty for symmetric ones."""

    secret: bytes
    public: bytes


def kid_of(public: bytes) -> bytes:
    """The 16-byte key id: the start of SHA-1 over the public key as stored (device API §11.2)."""
    return hashlib.sha1(public, usedforsecurity=False).digest()[:16]


@functools.lru_cache(_CACHED)
def ec_private(name: str, secret: bytes) -> ec.EllipticCurvePrivateKey:
    """The SECP private key with this scalar; ``ValueError`` when it is 0 or not below the group order."""
    return ec.derive_private_key(int.from_bytes(secret, "big"), _CURVES[name])


@functools.lru_cache(_CACHED)
def ec_public(name: str, public: bytes) -> ec.EllipticCurvePublicKey:
    """The SECP public key of a compressed point; ``ValueError`` when it is none."""
    if len(public) != KEY_TYPES[name].public or public[:1] not in (b"\x02", b"\x03"):
        raise ValueError("not a compressed point of this curve")
    return ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[name], public)


def _raw(
    key: x25519.X25519PublicKey | x448.X448PublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey,
) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _public_weierstrass(kind: KeyType, secret: bytes) -> bytes:
    return (
        ec_private(kind.name, secret).public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    )


def _public_edwards(kind: KeyType, secret: bytes) -> bytes:
    if kind.name == "ED25519":
        return _raw(ed25519.Ed25519PrivateKey.from_private_bytes(secret).public_key())
    return _raw(ed448.Ed448PrivateKey.from_private_bytes(secret).public_key())


def _public_montgomery(kind: KeyType, secret: bytes) -> bytes:
    if kind.name == "CURVE25519":
        return _raw(x25519.X25519PrivateKey.from_private_bytes(secret).public_key())
    return _raw(x448.X448PrivateKey.from_private_bytes(secret).public_key())


def _public_mlkem(kind: KeyType, secret: bytes) -> bytes:
    from hem_provider.emulator import mlkem

    return mlkem.public_key(kind.name, secret)


def _public_mldsa(kind: KeyType, secret: bytes) -> bytes:
    from hem_provider.emulator import mldsa

    return mldsa.public_key(kind.name, secret)


_PUBLIC: dict[Family, Callable[[KeyType, bytes], bytes]] = {
    Family.WEIERSTRASS: _public_weierstrass,
    Family.EDWARDS: _public_edwards,
    Family.MONTGOMERY: _public_montgomery,
    Family.HMAC: lambda _kind, _secret: b"",
    Family.AES: lambda _kind, _secret: b"",
    Family.MLKEM: _public_mlkem,
    Family.MLDSA: _public_mldsa,
}


def from_secret(kind: KeyType, secret: bytes) -> Material:
    """The key with this private part; ``ValueError`` for a wrong length or a scalar out of range."""
    if len(secret) != kind.secret:
        raise ValueError(f"{kind.name} takes {kind.secret} bytes, not {len(secret)}")
    return Material(secret, _PUBLIC[kind.family](kind, secret))


def shrink_to_scalar(kind: KeyType, seed: bytes) -> bytes:
    """``seed`` cut to the bit length of the curve of ``kind``; other types take the seed as it is."""
    if kind.name == "SECP521R1":
        return bytes([seed[0] & 1]) + seed[1:]
    return seed


def generate(kind: KeyType) -> Material:
    """A fresh random key."""
    while True:
        try:
            return from_secret(kind, shrink_to_scalar(kind, secrets.token_bytes(kind.secret)))
        except ValueError:  # a scalar out of range, about once in 2**32 keys
            continue


def agree(kind: KeyType, secret: bytes, peer: bytes) -> bytes:
    """The raw ECDH secret (for SECP* the X coordinate, big endian); ``ValueError`` for a bad peer key."""
    if len(peer) != kind.public:
        raise ValueError(f"a {kind.name} public key has {kind.public} bytes, not {len(peer)}")
    try:
        if kind.family is Family.WEIERSTRASS:
            return ec_private(kind.name, secret).exchange(ec.ECDH(), ec_public(kind.name, peer))
        if kind.name == "CURVE25519":
            own = x25519.X25519PrivateKey.from_private_bytes(secret)
            return own.exchange(x25519.X25519PublicKey.from_public_bytes(peer))
        if kind.name == "CURVE448":
            return x448.X448PrivateKey.from_private_bytes(secret).exchange(
                x448.X448PublicKey.from_public_bytes(peer)
            )
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from error
    raise ValueError(f"{kind.name} keys take no part in ECDH")
