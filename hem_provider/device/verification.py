"""Signatures of the device are verified here before they are handed out, where the public half of the
key is known without asking. ``verify_signatures = false`` in the configuration turns it off.

Not verified: Ed25519ph, Ed25519ctx, Ed448ph and Ed448 with a context, which no common library has, and
ML-DSA before ``cryptography`` 47. MACs and agreed secrets cannot be: they take the private half.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from typing import Any

from hem_provider.keytypes import ECDSA, KEY_TYPES, Family, KeyAttributes, KeyType
from hem_provider.publickeys import load_public
from hem_provider.records import frozen

__all__ = ["ML_DSA", "KnownKey", "accepts", "checker"]

#: What stands for ML-DSA where others have the device's ``alg``.
ML_DSA = "ML-DSA"

#: The device's ``alg`` → ``cryptography``'s class of its digest.
_HASHES = {literal: name.upper() for name, literal in ECDSA.items()}


@frozen
class KnownKey:
    """What is known of a key without asking the device: its type, what a listing says, and the public
    half in device form, which matches the KID."""

    type: KeyType | None = None
    attributes: KeyAttributes | None = None
    public: bytes | None = None


def accepts(key: KnownKey, signature: bytes, message: bytes, algorithm: str, context: bytes | None) -> bool:
    """``False`` when ``signature`` is certainly wrong; ``True`` also where that cannot be told here."""
    if key.public is None:
        return True
    from cryptography.exceptions import InvalidSignature

    tried = False
    for public in _natives(key, algorithm):
        check = checker(public, algorithm, context)
        if check is None:
            return True
        tried = True
        try:
            check(signature, message)
        except InvalidSignature:
            continue
        return True
    return not tried


def _natives(key: KnownKey, algorithm: str) -> Iterator[Any]:
    """The native public key; of a key whose type is not known, all it can be (P-256 and secp256k1 have
    points of one size)."""
    assert key.public is not None  # noqa: S101 - the caller has looked
    for kind in KEY_TYPES.values() if key.type is None else (key.type,):
        if not _does(kind, algorithm):
            continue
        if kind.public_size == len(key.public):
            public = _native(kind.name, key.public)
            if public is not None:
                yield public


def _does(kind: KeyType, algorithm: str) -> bool:
    return algorithm in kind.sign_algorithms or (algorithm == ML_DSA and kind.family is Family.MLDSA)


@lru_cache(maxsize=256)
def _native(name: str, public: bytes) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return load_public(KEY_TYPES[name], public)
    except (UnsupportedAlgorithm, ValueError):  # ValueError: a point of another curve of this size
        return None


@cache
def _ecdsa(algorithm: str) -> Any:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.ECDSA(getattr(hashes, _HASHES[algorithm])())


def checker(
    public: Any, algorithm: str, context: bytes | None = None
) -> Callable[[bytes, bytes], None] | None:
    """What verifies a signature of a message under a native public key, by ``cryptography``'s
    ``InvalidSignature``; ``None`` where nothing here does."""
    if algorithm in _HASHES:
        scheme = _ecdsa(algorithm)
        return lambda signature, message: public.verify(signature, message, scheme)
    if algorithm == ML_DSA:
        return lambda signature, message: public.verify(signature, message, context)
    if algorithm == "Ed25519" or (algorithm == "Ed448" and not context):
        return lambda signature, message: public.verify(signature, message)
    return None
