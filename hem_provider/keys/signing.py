"""Signatures of messages that are verified here, whoever made them; what a key's type signs with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from hem_provider.device.key import Key
from hem_provider.device.verification import ML_DSA, checker
from hem_provider.errors import HemAnswerFault, HemOperationFailed
from hem_provider.keys.capabilities import check_usage, device_parameter
from hem_provider.keytypes import ECDSA, Family, KeyType

__all__ = [
    "SIGNING",
    "algorithm_of",
    "check_signs",
    "digests_of",
    "native",
    "sign",
    "verify",
    "verify_digest",
]

#: Families whose keys sign.
SIGNING = frozenset({Family.EC, Family.EDWARDS, Family.MLDSA})


def digests_of(kind: KeyType) -> Sequence[str]:
    """The digests that may be chosen, by their names in ``cryptography``, the natural one first; none where
    the type leaves no choice."""
    literals = {literal: name for name, literal in ECDSA.items()}
    return [literals[each] for each in kind.sign_algorithms if each in literals]


def algorithm_of(kind: KeyType, digest: str | None = None) -> str:
    """The device's literal for a signature, by the natural digest or another of ``digests_of``; ``ML_DSA``
    for a key of that family. ``ValueError`` for a type that does not sign, or a digest that it has not."""
    if kind.family not in SIGNING:
        raise ValueError(f"{kind.name} keys do not sign")
    if kind.family is Family.MLDSA:
        return ML_DSA
    if digest is None:
        return kind.sign_algorithms[0]
    if digest not in digests_of(kind):
        raise ValueError(f"digest: {digest!r}; {kind.name} has {', '.join(digests_of(kind)) or 'no choice'}")
    return ECDSA[digest]


def check_signs(key: Key, algorithm: str) -> None:
    """``HemOperationFailed`` for a key that is known not to sign, or not with this algorithm. No I/O."""
    names = {literal: name for name, literal in ECDSA.items()}
    try:
        check_usage(key, "sign")
        if algorithm in names:
            device_parameter(key, "sign", names[algorithm])
    except UnsupportedAlgorithm as error:
        raise HemOperationFailed(f"key {key.kid} ({key.label!r}) does not sign: {error}") from None


def sign(key: Key, message: bytes, algorithm: str) -> bytes:
    """A signature in device form (ECDSA: DER) of 1…``limits.message`` bytes; one call.

    It is verified here, also where the configuration does not ask for it: one call more where the public half
    is not known yet. ``HemOperationFailed`` for a key that is not made for it, ``HemAnswerFault`` for a
    signature that does not verify, and what the device layer raises.
    """
    check_signs(key, algorithm)
    public = native(key)
    operations = key.operations
    if algorithm == ML_DSA:
        made = operations.mldsa_sign(key.kid, message)
    else:
        made = operations.sign(key.kid, message, algorithm)
    try:
        verify(public, made, message, algorithm)
    except InvalidSignature:
        raise HemAnswerFault(
            f"key {key.kid}: the device's signature of {len(made)} bytes ({algorithm}) does not verify under "
            "the key's public half; it is not handed out"
        ) from None
    return made


def native(key: Key) -> Any:
    """``key.public_key()``; ``HemOperationFailed`` where this ``cryptography`` has no such key."""
    try:
        return key.public_key()
    except UnsupportedAlgorithm as error:
        raise HemOperationFailed(f"key {key.kid} ({key.label!r}): {error}") from None


def verify(public: Any, signature: bytes, message: bytes, algorithm: str) -> None:
    """``InvalidSignature`` unless ``signature``, in device form, is of ``message`` under a native public key.
    ``UnsupportedAlgorithm`` for what nothing here verifies."""
    check = checker(public, algorithm)
    if check is None:
        raise UnsupportedAlgorithm(f"{algorithm}: nothing here verifies it")
    check(signature, message)


def verify_digest(public: Any, signature: bytes, digest: bytes, name: str) -> None:
    """``verify`` of an ECDSA signature in DER, of a message whose digest is known."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    public.verify(signature, digest, ec.ECDSA(utils.Prehashed(getattr(hashes, name.upper())())))
