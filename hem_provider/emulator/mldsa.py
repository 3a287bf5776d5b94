"""ML-DSA (FIPS 204) over 32-byte seeds, with contexts of up to 255 bytes."""

from __future__ import annotations

import functools
from typing import Any

from cryptography.exceptions import InvalidSignature

__all__ = ["public_key", "sign", "verify"]


@functools.lru_cache(64)
def _load(name: str, seed: bytes) -> Any:
    from cryptography.hazmat.primitives.asymmetric import mldsa

    classes: dict[str, Any] = {
        "MLDSA44": mldsa.MLDSA44PrivateKey,
        "MLDSA65": mldsa.MLDSA65PrivateKey,
        "MLDSA87": mldsa.MLDSA87PrivateKey,
    }
    return classes[name].from_seed_bytes(seed)


def public_key(name: str, seed: bytes) -> bytes:
    """The public key of a seed."""
    return bytes(_load(name, seed).public_key().public_bytes_raw())


def sign(name: str, seed: bytes, message: bytes, context: bytes) -> bytes:
    """A signature under ``context``, which may be empty."""
    return bytes(_load(name, seed).sign(message, context=context))


def verify(name: str, seed: bytes, message: bytes, context: bytes, signature: bytes) -> bool:
    """``True`` when the signature is valid for this message and context."""
    try:
        _load(name, seed).public_key().verify(signature, message, context=context)
    except (InvalidSignature, ValueError):
        return False
    return True
