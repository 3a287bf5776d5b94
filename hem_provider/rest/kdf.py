"""From what a person types to the 32-byte X25519 private key that proves it (device API §5.2).

A device stores public keys only; whoever initialised it chose the derivation, and it stays.
"""

from __future__ import annotations

import enum
import hashlib

from hem_provider.errors import HemConfigError
from hem_provider.rest import bip39, credential
from hem_provider.rest.encoding import unb64

__all__ = ["Kdf", "argon2d_seed", "initial_master_kdf", "master_kdfs", "mnemonic_seed", "seed_from"]


class Kdf(enum.Enum):
    """``PBKDF2``: today's clients. ``ARGON2D``: devices initialised by older managers. For the 24 words
    of a master secret: ``BIP39_ENTROPY``, the vendor's newest software, takes what the words stand for;
    ``BIP39``, its older ("legacy") way, the seed of a wallet shifted by half a byte."""

    PBKDF2 = "pbkdf2"
    ARGON2D = "argon2d"
    BIP39 = "bip39"
    BIP39_ENTROPY = "bip39-entropy"


def seed_from(secret: str, eid: str, kdf: Kdf) -> bytes:
    """32 bytes. ``eid`` is the device's identity as base64 text; mnemonics do not use it.

    ``ValueError`` for words that are no BIP39 mnemonic, ``HemConfigError`` where ``cryptography`` has no
    Argon2d.
    """
    if kdf is Kdf.BIP39:
        return mnemonic_seed(secret)
    if kdf is Kdf.BIP39_ENTROPY:
        return bip39.entropy_of(secret)
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
    """The master secret of a 24-word English BIP39 mnemonic, as the vendor's older manager makes it: the
    BIP39 seed's hex text cut from its second digit, so that it is shifted by half a byte.

    ``ValueError`` for another number of words, for a word that is not in the list (naming its place)
    and for a wrong checksum.
    """
    phrase = bip39.phrase_of(words)
    seed = hashlib.pbkdf2_hmac("sha512", phrase.encode("utf-8"), b"mnemonic", 2048, 64)
    return bytes.fromhex(seed.hex()[1:65])


def master_kdfs(secret: str, configured: str, default: Kdf) -> tuple[Kdf, ...]:
    """How a master secret may have been derived, the likeliest first (device API §24).

    Devices are slow after three refused logins, so there are two ways at most: 24 words are tried as
    the newest software takes them, then as the older one did. ``configured`` other than ``auto`` is
    the one way.
    """
    if configured != "auto":
        return (Kdf(configured),)
    return (Kdf.BIP39_ENTROPY, Kdf.BIP39) if bip39.looks_like_words(secret) else (default,)


def initial_master_kdf(secret: str, configured: str) -> Kdf:
    """How a device that is initialised now is to take its master secret."""
    return master_kdfs(secret, configured, Kdf.PBKDF2)[0]
