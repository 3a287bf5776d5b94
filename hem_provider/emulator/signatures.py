"""ECDSA and EdDSA with the device's algorithm names (device API §13.3).

Plain Ed25519 and Ed448 come from ``cryptography``; the pre-hashed forms and contexts of RFC 8032, which it
lacks, from ``pycryptodome``, loaded when first used.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519

from hem_provider.emulator import keys
from hem_provider.emulator.keytypes import Family, KeyType

__all__ = ["ALGORITHMS", "sign", "takes_context", "verify"]

_ECDSA: Final[dict[str, hashes.HashAlgorithm]] = {
    "SHA256WithECDSA": hashes.SHA256(),
    "SHA384WithECDSA": hashes.SHA384(),
    "SHA512WithECDSA": hashes.SHA512(),
}
_EDDSA: Final = {
    "Ed25519": "ED25519",
    "Ed25519ph": "ED25519",
    "Ed25519ctx": "ED25519",
    "Ed448": "ED448",
    "Ed448ph": "ED448",
}
ALGORITHMS: Final = frozenset(_ECDSA) | frozenset(_EDDSA)


def takes_context(algorithm: str) -> bool:
    """``True`` for the algorithms that use ``ctx``; the others ignore it."""
    return algorithm in ("Ed25519ph", "Ed25519ctx", "Ed448", "Ed448ph")


def _check(kind: KeyType, algorithm: str) -> None:
    fits = kind.family is Family.WEIERSTRASS if algorithm in _ECDSA else _EDDSA[algorithm] == kind.name
    if not fits:
        raise ValueError(f"a {kind.name} key cannot do {algorithm}")


@functools.lru_cache(512)
def _ed_private(name: str, secret: bytes) -> ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey:
    if name == "ED25519":
        return ed25519.Ed25519PrivateKey.from_private_bytes(secret)
    return ed448.Ed448PrivateKey.from_private_bytes(secret)


def _ed_public(name: str, public: bytes) -> ed25519.Ed25519PublicKey | ed448.Ed448PublicKey:
    if name == "ED25519":
        return ed25519.Ed25519PublicKey.from_public_bytes(public)
    return ed448.Ed448PublicKey.from_public_bytes(public)


def _prehash(algorithm: str, message: bytes) -> Any:
    """What pycryptodome signs: a hash object for the pre-hashed forms, the message itself otherwise."""
    from Crypto.Hash import SHA512, SHAKE256

    if algorithm == "Ed25519ph":
        return SHA512.new(message)
    if algorithm == "Ed448ph":
        return SHAKE256.new(message)
    return message


def _with_context(algorithm: str, context: bytes) -> bool:
    return algorithm in ("Ed25519ph", "Ed25519ctx", "Ed448ph") or (algorithm == "Ed448" and bool(context))


def sign(
    kind: KeyType,
    secret: bytes,
    algorithm: str,
    message: bytes,
    context: bytes,
    *,
    deterministic: bool = False,
) -> bytes:
    """Sign the whole message; DER for ECDSA, raw for EdDSA. ``ValueError`` when key and algorithm do not
    fit."""
    _check(kind, algorithm)
    if algorithm in _ECDSA:
        scheme = ec.ECDSA(_ECDSA[algorithm], deterministic_signing=deterministic)
        return keys.ec_private(kind.name, secret).sign(message, scheme)
    if not _with_context(algorithm, context):
        return _ed_private(kind.name, secret).sign(message)
    from Crypto.Signature import eddsa

    key = eddsa.import_private_key(secret)
    return bytes(eddsa.new(key, "rfc8032", context).sign(_prehash(algorithm, message)))


def verify(
    kind: KeyType, public: bytes, algorithm: str, message: bytes, context: bytes, signature: bytes
) -> bool:
    """``True`` when the signature is valid. ``ValueError`` when key and algorithm do not fit."""
    _check(kind, algorithm)
    try:
        if algorithm in _ECDSA:
            keys.ec_public(kind.name, public).verify(signature, message, ec.ECDSA(_ECDSA[algorithm]))
        elif not _with_context(algorithm, context):
            _ed_public(kind.name, public).verify(signature, message)
        else:
            from Crypto.Signature import eddsa

            key = eddsa.import_public_key(public)
            eddsa.new(key, "rfc8032", context).verify(_prehash(algorithm, message), signature)
    except (InvalidSignature, ValueError):
        return False
    return True
