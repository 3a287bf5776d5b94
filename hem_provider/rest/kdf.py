"""From what a person types to the 32-byte X25519 private key that proves it (device API §5.2).

A device stores public keys only; whoever initialised it chose the derivation, and it stays.
"""

from __future__ import annotations

import enum
import hashlib
import unicodedata

from hem_provider.errors import HemConfigError
from hem_provider.rest import credential
from hem_provider.rest.encoding import unb64

__all__ = ["Kdf", "argon2d_seed", "mnemonic_seed", "seed_from"]


class Kdf(enum.Enum):
    """``PBKDF2``: today's clients. ``ARGON2D``: devices initialised by older managers. ``BIP39``:
    the 24-word master mnemonic of the vendor's manager."""

    PBKDF2 = "pbkdf2"
    ARGON2D = "argon2d"
    BIP39 = "bip39"


def seed_from(secret: str, eid: str, kdf: Kdf) -> bytes:
    """32 bytes. ``eid`` is the device's identity as base64 text; ``BIP39`` does not use it."""
    if kdf is Kdf.BIP39:
        return mnemonic_seed(secret)
    return argon2d_seed(secret, eid) if kdf is Kdf.ARGON2D else credential.pbkdf2_seed(secret, eid)


def argon2d_seed(passphrase: str, eid: str) -> bytes:
    """Argon2d 0x13 (RFC 9106): 10 passes, 8 MiB, 1 lane, salted with the decoded ``eid``.

    ``HemConfigError`` where this ``cryptography`` has no Argon2d (it came with version 47).
    """
    try:
        from cryptography.hazmat.primitives.kdf.argon2 import Argon2d
    except ImportError:
        raise HemConfigError("Argon2d needs cryptography 47 or newer") from None
    kdf = Argon2d(salt=unb64(eid), length=32, iterations=10, lanes=1, memory_cost=8192)
    return kdf.derive(passphrase.encode("utf-8"))


def mnemonic_seed(words: str) -> bytes:
    """The master secret of a 24-word English BIP39 mnemonic, as the vendor's manager makes it: the
    BIP39 seed's hex text cut from its second digit, so that it is shifted by half a byte.

    ``ValueError`` for another number of words. Words are not looked up in the list: a misspelt
    one gives a secret that the device refuses.
    """
    normal = " ".join(unicodedata.normalize("NFKD", words).lower().split())
    count = len(normal.split(" ")) if normal else 0
    if count != 24:
        raise ValueError(f"mnemonic: {count} words; accepted: 24")
    seed = hashlib.pbkdf2_hmac("sha512", normal.encode("utf-8"), b"mnemonic", 2048, 64)
    return bytes.fromhex(seed.hex()[1:65])
