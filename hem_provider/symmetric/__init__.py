"""Symmetric keys of a HEM, with the names and shapes of ``cryptography``.

Where ``cryptography`` takes key bytes, these take a key of a HEM (``hem.keys.create("AES256", …,
usage={"aead"})``) or an ``Agreement``::

    AESGCM(key).encrypt(nonce, data, aad)                 family aead
    seal(key, data, aad), open(key, sealed, aad)          family aead; recommended
    Cipher(key, modes.CTR(nonce)).encryptor()             family cipher: CBC, CTR, ECB; aead: GCM
    aes_key_wrap(key, data), …_with_padding               family wrap
    CMAC(key)                                             family mac
    HMAC(key, hashes.SHA256())                            HMAC keys

Data errors are ``cryptography``'s (``InvalidTag``, ``InvalidUnwrap``, ``InvalidSignature``,
``ValueError``), device errors ``HemError``'s children. The documentation of symmetric keys says
what each costs in device calls and what a host that has seen an operation knows.
"""

from __future__ import annotations

from hem_provider.symmetric.aead import AESGCM
from hem_provider.symmetric.agreement import Agreement
from hem_provider.symmetric.blocks import AesKey
from hem_provider.symmetric.cipher import Cipher
from hem_provider.symmetric.cmac import CMAC
from hem_provider.symmetric.errors import (
    KeyUseDenied,
    UnmarkedKeyWarning,
    UnsuitableKey,
    WrongKeyFamily,
    WrongKeyType,
)
from hem_provider.symmetric.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap,
    aes_key_wrap_with_padding,
)
from hem_provider.symmetric.mac import HMAC
from hem_provider.symmetric.resolve import MacKey
from hem_provider.symmetric.sealing import open, seal

__all__ = [
    "AESGCM",
    "CMAC",
    "HMAC",
    "AesKey",
    "Agreement",
    "Cipher",
    "InvalidUnwrap",
    "KeyUseDenied",
    "MacKey",
    "UnmarkedKeyWarning",
    "UnsuitableKey",
    "WrongKeyFamily",
    "WrongKeyType",
    "aes_key_unwrap",
    "aes_key_unwrap_with_padding",
    "aes_key_wrap",
    "aes_key_wrap_with_padding",
    "open",
    "seal",
]
