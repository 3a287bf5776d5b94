"""Scheme ``A``: a scope sealed between device and phone (device API §10.4)."""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from hem_provider.emulator.encodings import from_b64, to_b64

__all__ = ["seal", "sealing_key", "unseal"]


def sealing_key(secret: bytes, nonce: bytes) -> bytes:
    """K: the AES-128 key and the IV, 16 bytes each, and as a whole the MAC key."""
    return hmac.digest(secret, nonce, hashlib.sha256)


def seal(secret: bytes, nonce: bytes, scope: bytes) -> str:
    """``A`` and the base64 of AES-128-CBC ciphertext and HMAC-SHA256 of the scope."""
    key = sealing_key(secret, nonce)
    padder = PKCS7(128).padder()
    padded = padder.update(scope) + padder.finalize()
    encryptor = Cipher(AES128(key[:16]), CBC(key[16:])).encryptor()
    ciphertext = encryptor.update(padded) + encryptor.finalize()
    return "A" + to_b64(ciphertext + hmac.digest(key, scope, hashlib.sha256))


def unseal(secret: bytes, nonce: bytes, sealed: str) -> bytes:
    """The scope; ``ValueError`` for another scheme, broken padding or a wrong tag."""
    if not sealed.startswith("A"):
        raise ValueError("unknown sealing scheme")
    data = from_b64(sealed[1:])
    ciphertext, tag = data[:-32], data[-32:]
    if len(tag) != 32 or not ciphertext or len(ciphertext) % 16:
        raise ValueError("sealed scope has an impossible length")
    key = sealing_key(secret, nonce)
    decryptor = Cipher(AES128(key[:16]), CBC(key[16:])).decryptor()
    unpadder = PKCS7(128).unpadder()
    padded = decryptor.update(ciphertext) + decryptor.finalize()
    scope = unpadder.update(padded) + unpadder.finalize()
    if not hmac.compare_digest(hmac.digest(key, scope, hashlib.sha256), tag):
        raise ValueError("sealed scope has a wrong tag")
    return scope
