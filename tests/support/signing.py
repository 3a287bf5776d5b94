"""Signers in software that answer as a HEM does, and ways to damage what they made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519

from hem_provider.keytypes import ECDSA, KEY_TYPES, KeyType
from hem_provider.publickeys import curve, device_form, kid_of

__all__ = ["Signer", "flipped", "signer"]


class Signer:
    """A private key of one of the device's types. ``messages``: what it signed."""

    def __init__(self, name: str) -> None:
        self.kind: KeyType = KEY_TYPES[name]
        made: dict[str, Callable[[], Any]] = {
            "ED25519": ed25519.Ed25519PrivateKey.generate,
            "ED448": ed448.Ed448PrivateKey.generate,
        }
        self.private = made[name]() if name in made else ec.generate_private_key(curve(name))
        self.public = self.private.public_key()
        self.kid = kid_of(device_form(self.public))
        self.messages: list[bytes] = []

    def sign(self, message: bytes) -> bytes:
        """In device form, by the type's natural algorithm."""
        return self.by(self.kind.sign_algorithms[0])(message)

    def by(self, algorithm: str) -> Callable[[bytes], bytes]:
        """The same by another of the device's algorithms."""
        names = {literal: name for name, literal in ECDSA.items()}

        def sign(message: bytes) -> bytes:
            assert 0 < len(message) <= 2048
            self.messages.append(message)
            if algorithm in names:
                return self.private.sign(message, ec.ECDSA(getattr(hashes, names[algorithm].upper())()))
            return self.private.sign(message)

        return sign


@cache
def signer(name: str, number: int = 0) -> Signer:
    """One of a type, the same each time; ``number`` is for others of it."""
    return Signer(name)


def flipped(data: bytes, bits: int = 1) -> Iterator[bytes]:
    """``data`` with each of its bytes altered in turn."""
    for at in range(len(data)):
        yield data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]
