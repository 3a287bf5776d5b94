"""``seal`` and ``open``: authenticated encryption in the device's own form, one call each.

::

    sealed = nonce (16 bytes, made by the device) ‖ ciphertext ‖ tag (16 bytes)

AES-GCM with a 16-byte nonce (SP 800-38D §7.1). Neither keystream nor hash subkey leave the
device, and no nonce can be used twice. Additional data of up to 15 bytes are GCM's additional
data as they are. Of longer ones the device may not authenticate all (device API §13.4); there
``D = SHA-256(additional data)`` is bound instead: GCM's additional data are the first 16 bytes of
``D``, and the last 16 bytes of ``D`` stand before the data inside the ciphertext. The two forms
cannot be taken for each other, since only the second has 16 bytes of additional data.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.exceptions import InvalidTag

from hem_provider.arguments import Buffer, as_bytes
from hem_provider.errors import MessageTooLong
from hem_provider.symmetric.blocks import BLOCK
from hem_provider.symmetric.family import check_use
from hem_provider.symmetric.limits import message_limit
from hem_provider.symmetric.resolve import AnyAesKey, aes_key

__all__ = ["OVERHEAD", "open", "seal"]

#: Bytes that sealing adds; 16 more with additional data of 16 bytes and more.
OVERHEAD = 2 * BLOCK

_PLAIN_AAD = BLOCK - 1


def seal(key: AnyAesKey, data: Buffer, aad: Buffer | None = None) -> bytes:
    """Encrypt and authenticate 1…``MAX_MESSAGE`` bytes (16 fewer with 16 bytes of ``aad`` or more). One call.

    ``key``: an AES key of family ``aead``; best one that is used for ``seal`` alone.
    ``aad``: any size, needed again to open. ``ValueError`` for 0 bytes, ``MessageTooLong``,
    ``WrongKeyType``, ``WrongKeyFamily``.
    """
    device_key = aes_key(key, "aead")
    check_use(device_key, "encrypt", "gcm")
    device_aad, prefix = _bound(b"" if aad is None else as_bytes("aad", aad))
    clear, limit = as_bytes("data", data), message_limit(device_key) - len(prefix)
    if not clear:
        raise ValueError(f"data: 0 bytes; seal takes 1 to {limit} bytes")
    if len(clear) > limit:
        raise MessageTooLong(
            f"data: {len(clear)} bytes; seal takes at most {limit}. Seal a random data key, and encrypt the "
            "data with that (envelope encryption)",
            size=len(clear),
            limit=limit,
        )
    nonce, ciphertext, tag = device_key.gcm_encrypt(prefix + clear, device_aad)
    return nonce + ciphertext + tag


def open(key: AnyAesKey, sealed: Buffer, aad: Buffer | None = None) -> bytes:
    """What was sealed with this key and ``aad``. One call; one more, to make sure of the key, when
    rejected.

    ``InvalidTag`` when anything was changed, cut or added; nothing is released then.
    """
    device_key = aes_key(key, "aead")
    check_use(device_key, "decrypt", "gcm")
    device_aad, prefix = _bound(b"" if aad is None else as_bytes("aad", aad))
    whole = as_bytes("sealed", sealed)
    size = len(whole) - OVERHEAD
    if not len(prefix) < size <= message_limit(device_key):
        raise InvalidTag(f"sealed: {len(whole)} bytes; nothing sealed has this size")
    clear = device_key.gcm_decrypt(whole[:BLOCK], whole[BLOCK:-BLOCK], whole[-BLOCK:], device_aad)
    if clear is None:
        device_key.confirm()
        raise InvalidTag(f"{device_key.name} did not seal this with this additional data")
    if not hmac.compare_digest(clear[: len(prefix)], prefix):
        raise InvalidTag("sealed with other additional data")
    return clear[len(prefix) :]


def _bound(aad: bytes) -> tuple[bytes, bytes]:
    """GCM's additional data, and what stands before the data."""
    if len(aad) <= _PLAIN_AAD:
        return aad, b""
    digest = hashlib.sha256(aad).digest()
    return digest[:BLOCK], digest[BLOCK:]
