"""Signatures as the device makes them, of files that go to it whole: no format around them.

ECDSA in DER, or as two numbers of one size (IEEE P1363); EdDSA and ML-DSA as their standards have them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature

from hem_provider.ecdsa import fixed, from_fixed, numbers
from hem_provider.keys.signing import SIGNING, verify, verify_digest
from hem_provider.keytypes import KEY_TYPES, Family, KeyType
from hem_provider.records import frozen

__all__ = ["DER", "P1363", "TYPES", "Draft", "check"]

#: The device's types that sign.
TYPES = tuple(name for name, kind in KEY_TYPES.items() if kind.family in SIGNING)
#: Encodings of ECDSA.
DER, P1363 = "der", "p1363"


@frozen
class Draft:
    """What is to be signed by a key of this type. ``encoding``: of ECDSA. ``ValueError`` for an empty
    message, which the device does not take."""

    kind: KeyType
    message: bytes
    encoding: str = DER

    def __post_init__(self) -> None:
        if not self.message:
            raise ValueError("it is empty, and a signature of the device is of one byte at least")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Bytes that go to the device in each call."""
        return (len(self.message),)

    def document(self, sign: Callable[[bytes], bytes]) -> bytes:
        """The signature."""
        made = sign(self.message)
        return fixed(made, _half(self.kind)) if self.encoding == P1363 else made


def check(
    signature: bytes,
    public: Any,
    kind: KeyType,
    signed: bytes,
    *,
    algorithm: str,
    digest: str | None = None,
    encoding: str | None = None,
) -> str:
    """``InvalidSignature`` unless it is of ``signed``, by a native key of this type; the encoding it has.

    ``signed``: the file; with ``digest``, which EC keys alone have, its digest by that name. ``encoding``:
    that of ECDSA, where it is known.
    """
    if kind.family is not Family.EC:
        verify(public, signature, signed, algorithm)
        return "raw"
    encoding = encoding or (P1363 if not _is_der(signature) else DER)
    try:
        made = from_fixed(signature, _half(kind)) if encoding == P1363 else signature
    except ValueError as error:
        raise InvalidSignature(f"no signature by {kind.name}: {error}") from None
    if digest is None:
        verify(public, made, signed, algorithm)
    else:
        verify_digest(public, made, signed, digest)
    return encoding


def _half(kind: KeyType) -> int:
    return (kind.signature_size or 0) // 2


def _is_der(signature: bytes) -> bool:
    try:
        numbers(signature)
    except ValueError:
        return False
    return True
