"""The device's key types, their sizes and their type strings (device API §11.1, §12)."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = [
    "CERTIFICATE",
    "DER_KEY",
    "DIGESTS",
    "KEY_TYPES",
    "MODES",
    "MODE_TEXTS",
    "Family",
    "KeyType",
    "parse_mode",
]

CERTIFICATE: Final = "CERT"
DER_KEY: Final = "DER_PKEY"

DIGESTS: Final[Mapping[str, str]] = {
    "SHA2-256": "sha256",
    "SHA2-384": "sha384",
    "SHA2-512": "sha512",
    "SHA3-256": "sha3_256",
    "SHA3-384": "sha3_384",
    "SHA3-512": "sha3_512",
}
"""Digest names of the device and of ``hashlib``."""

MODES: Final = ("ECDH", "ExDSA")


class Family(enum.Enum):
    """What a key can do by its construction."""

    WEIERSTRASS = enum.auto()
    EDWARDS = enum.auto()
    MONTGOMERY = enum.auto()
    HMAC = enum.auto()
    AES = enum.auto()
    MLKEM = enum.auto()
    MLDSA = enum.auto()


@dataclass(frozen=True, slots=True)
class KeyType:
    """One type. Sizes in bytes: ``secret`` of the private or secret key as stored here, ``public`` as
    exported."""

    name: str
    family: Family
    secret: int
    public: int = 0

    @property
    def symmetric(self) -> bool:
        """AES and HMAC keys: there is no public half."""
        return self.family in (Family.HMAC, Family.AES)

    @property
    def post_quantum(self) -> bool:
        """ML-KEM and ML-DSA keys."""
        return self.family in (Family.MLKEM, Family.MLDSA)

    @property
    def agrees(self) -> bool:
        """``True`` for types that take part in ECDH."""
        return self.family in (Family.WEIERSTRASS, Family.MONTGOMERY)


KEY_TYPES: Final[Mapping[str, KeyType]] = {
    row.name: row
    for row in (
        KeyType("SECP256R1", Family.WEIERSTRASS, 32, 33),
        KeyType("SECP384R1", Family.WEIERSTRASS, 48, 49),
        KeyType("SECP521R1", Family.WEIERSTRASS, 66, 67),
        KeyType("SECP256K1", Family.WEIERSTRASS, 32, 33),
        KeyType("CURVE25519", Family.MONTGOMERY, 32, 32),
        KeyType("CURVE448", Family.MONTGOMERY, 56, 56),
        KeyType("ED25519", Family.EDWARDS, 32, 32),
        KeyType("ED448", Family.EDWARDS, 57, 57),
        KeyType("SHA2-256", Family.HMAC, 32),
        KeyType("SHA2-384", Family.HMAC, 48),
        KeyType("SHA2-512", Family.HMAC, 64),
        KeyType("SHA3-256", Family.HMAC, 32),
        KeyType("SHA3-384", Family.HMAC, 48),
        KeyType("SHA3-512", Family.HMAC, 64),
        KeyType("AES128", Family.AES, 16),
        KeyType("AES192", Family.AES, 24),
        KeyType("AES256", Family.AES, 32),
        KeyType("MLKEM512", Family.MLKEM, 64, 800),
        KeyType("MLKEM768", Family.MLKEM, 64, 1184),
        KeyType("MLKEM1024", Family.MLKEM, 64, 1568),
        KeyType("MLDSA44", Family.MLDSA, 32, 1312),
        KeyType("MLDSA65", Family.MLDSA, 32, 1952),
        KeyType("MLDSA87", Family.MLDSA, 32, 2592),
    )
}
"""All 23 types that create accepts. ML-KEM keys are stored as the seed d ‖ z, ML-DSA keys as the seed ξ."""


MODE_TEXTS: Final = (*MODES, ",".join(MODES), *KEY_TYPES)
"""What a mode may be: ``ECDH``, ``ExDSA``, ``ECDH,ExDSA`` or a type's name (device API §11.3, §24)."""


def parse_mode(text: str) -> tuple[str, ...]:
    """The parts of one of ``MODE_TEXTS``; ``ValueError`` for other text."""
    if text not in MODE_TEXTS:
        raise ValueError("mode is ECDH, ExDSA, ECDH,ExDSA or the type")
    return tuple(text.split(","))
