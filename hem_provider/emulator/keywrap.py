"""AES key wrap (RFC 3394 §2.2) with a choice of initial value, which ``cryptography`` does not offer."""

from __future__ import annotations

import hmac
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

__all__ = ["DEFAULT_ICV", "unwrap", "wrap"]

DEFAULT_ICV: Final = b"\xa6" * 8


def wrap(kek: bytes, plain: bytes, icv: bytes = DEFAULT_ICV) -> bytes:
    """Wrap at least two 8-byte blocks; ``ValueError`` for other lengths."""
    if len(plain) % 8 or len(plain) < 16 or len(icv) != 8:
        raise ValueError("key wrap takes two or more 8-byte blocks and an 8-byte initial value")
    encrypt = Cipher(AES(kek), ECB()).encryptor().update  # noqa: S305
    blocks = [plain[at : at + 8] for at in range(0, len(plain), 8)]
    register = icv
    for step in range(6 * len(blocks)):
        at = step % len(blocks)
        out = encrypt(register + blocks[at])
        register = (int.from_bytes(out[:8], "big") ^ (step + 1)).to_bytes(8, "big")
        blocks[at] = out[8:]
    return register + b"".join(blocks)


def unwrap(kek: bytes, wrapped: bytes, icv: bytes = DEFAULT_ICV) -> bytes:
    """The inverse of ``wrap``; ``ValueError`` for a wrong length or when the initial value does not come
    out."""
    if len(wrapped) % 8 or len(wrapped) < 24 or len(icv) != 8:
        raise ValueError("key unwrap takes three or more 8-byte blocks and an 8-byte initial value")
    decrypt = Cipher(AES(kek), ECB()).decryptor().update  # noqa: S305
    register, *blocks = (wrapped[at : at + 8] for at in range(0, len(wrapped), 8))
    for step in range(6 * len(blocks) - 1, -1, -1):
        at = step % len(blocks)
        mixed = (int.from_bytes(register, "big") ^ (step + 1)).to_bytes(8, "big")
        out = decrypt(mixed + blocks[at])
        register, blocks[at] = out[:8], out[8:]
    if not hmac.compare_digest(register, icv):
        raise ValueError("integrity check failed")
    return b"".join(blocks)
