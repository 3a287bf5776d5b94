"""A device's key as OpenPGP has it, version 4 (RFC 4880 §5.5.2, §12.2; RFC 6637 §9; RFC 9580 §9.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from hem_provider.adapters.openpgp.packets import mpi
from hem_provider.adapters.openpgp.places import LATEST
from hem_provider.errors import HemOperationFailed
from hem_provider.keytypes import KEY_TYPES
from hem_provider.publickeys import load_public
from hem_provider.records import frozen

__all__ = ["ALGORITHMS", "KDF", "PgpKey"]

#: What a shared point becomes a key by (RFC 6637 §8): SHA-256 and AES-128, as GnuPG takes for 256 bits.
KDF = bytes([1, 8, 7])
_EDDSA, _ECDH = 22, 18


@frozen
class _Algorithm:
    """``number``: RFC 4880's. ``oid``: of the curve, without tag and length (RFC 9580 §9.2)."""

    number: int
    oid: bytes


#: The device's type → how OpenPGP calls it. EC keys are there for encryption alone: OpenPGP's signatures are
#: over a digest that is ready, which a device cannot sign by ECDSA (device API §13.3).
ALGORITHMS: Mapping[str, _Algorithm] = {
    "ED25519": _Algorithm(_EDDSA, bytes.fromhex("2b06010401da470f01")),
    "CURVE25519": _Algorithm(_ECDH, bytes.fromhex("2b060104019755010501")),
    "SECP256R1": _Algorithm(_ECDH, bytes.fromhex("2a8648ce3d030107")),
}


@frozen
class PgpKey:
    """``type``: the device's. ``public``: in device form. ``created``: Unix seconds, part of the fingerprint.
    ``kdf``: of keys for encryption: reserved byte, digest, cipher; part of it, too.

    ``HemOperationFailed`` for a type that OpenPGP has no use for, ``ValueError`` for a time it does not know.
    """

    type: str
    public: bytes
    created: int
    kdf: bytes = KDF

    def __post_init__(self) -> None:
        if self.type not in ALGORITHMS:
            raise HemOperationFailed(
                f"a key of type {self.type} is none for OpenPGP with this device; accepted: ED25519 for "
                "signatures and logins, CURVE25519 and SECP256R1 for encryption (a device signs no digests "
                "that are ready, as ECDSA has them there)"
            )
        if not 0 < self.created <= LATEST:
            raise ValueError(f"created: {self.created} s; accepted: 1 to {LATEST}")

    @property
    def body(self) -> bytes:
        """Of its packet."""
        algorithm = ALGORITHMS[self.type]
        head = b"\4" + self.created.to_bytes(4, "big") + bytes([algorithm.number, len(algorithm.oid)])
        end = bytes([len(self.kdf)]) + self.kdf if algorithm.number == _ECDH else b""
        return head + algorithm.oid + mpi(self.point) + end

    @property
    def point(self) -> bytes:
        """The public half as OpenPGP writes it: uncompressed, or with 0x40 before it."""
        if self.type != "SECP256R1":
            return b"\x40" + self.public
        numbers = load_public(KEY_TYPES[self.type], self.public).public_numbers()
        return b"\4" + bytes(numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big"))

    @property
    def hashed(self) -> bytes:
        """What fingerprints and signatures are made over."""
        return b"\x99" + len(self.body).to_bytes(2, "big") + self.body

    @property
    def fingerprint(self) -> bytes:
        """20 bytes."""
        return hashlib.sha1(self.hashed, usedforsecurity=False).digest()

    @property
    def key_id(self) -> bytes:
        """8 bytes."""
        return self.fingerprint[-8:]
