"""A local AES key in place of the device's: what the published vectors run against."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hem_provider.errors import HemError, HemTimeout

__all__ = ["LocalAesKey"]

_DEFAULT_ICV = bytes([0xA6]) * 8


class LocalAesKey:
    """Does what the device does, within its limits, and counts. ``fail_at``: number of the call
    that is lost (from 0)."""

    def __init__(self, raw: bytes, *, fail_at: int | None = None, error: type[HemError] = HemTimeout) -> None:
        self.raw = raw
        self.name = "the local key"
        self.key_size = len(raw) * 8
        self.calls: list[tuple[str, int]] = []
        self.fail_at = fail_at
        self.error = error
        self._ecb = Cipher(algorithms.AES(raw), modes.ECB())  # noqa: S305

    def _called(self, operation: str, size: int) -> None:
        self.calls.append((operation, size))
        if len(self.calls) - 1 == self.fail_at:
            raise self.error("no answer in time")

    def ecb_encrypt(self, blocks: bytes) -> bytes:
        self._called("ecb_encrypt", len(blocks))
        assert 16 <= len(blocks) <= 2048
        return self._ecb.encryptor().update(blocks)

    def ecb_decrypt(self, blocks: bytes) -> bytes:
        self._called("ecb_decrypt", len(blocks))
        assert 16 <= len(blocks) <= 2048
        return self._ecb.decryptor().update(blocks)

    def wrap(self, data: bytes, icv: bytes | None = None) -> bytes:
        self._called("wrap", len(data))
        assert 16 <= len(data) <= 2048
        assert len(data) % 8 == 0
        return _rfc3394(self._ecb.encryptor().update, icv or _DEFAULT_ICV, data)

    def unwrap(self, data: bytes, icv: bytes | None = None) -> bytes | None:
        self._called("unwrap", len(data))
        assert 24 <= len(data) <= 2056
        assert len(data) % 8 == 0
        if icv is None:
            try:
                return keywrap.aes_key_unwrap(self.raw, data)
            except keywrap.InvalidUnwrap:
                return None
        found, clear = _rfc3394_back(self._ecb.decryptor().update, data)
        return clear if found == icv else None

    def gcm_encrypt(self, data: bytes, aad: bytes) -> tuple[bytes, bytes, bytes]:
        self._called("gcm_encrypt", len(data))
        assert 1 <= len(data) <= 2048
        assert len(aad) <= 16
        nonce = os.urandom(16)
        sealed = AESGCM(self.raw).encrypt(nonce, data, aad)
        return nonce, sealed[:-16], sealed[-16:]

    def gcm_decrypt(self, nonce: bytes, ciphertext: bytes, tag: bytes, aad: bytes) -> bytes | None:
        self._called("gcm_decrypt", len(ciphertext))
        assert 1 <= len(ciphertext) <= 2048
        assert len(nonce) == len(tag) == 16
        assert len(aad) <= 16
        try:
            return AESGCM(self.raw).decrypt(nonce, ciphertext + tag, aad)
        except InvalidTag:
            return None

    def confirm(self) -> None:
        self._called("confirm", 0)


def _rfc3394(encrypt, a, data):
    """RFC 3394 §2.2.1 with any integrity value, as the device has it."""
    r = [data[i : i + 8] for i in range(0, len(data), 8)]
    for step in range(6 * len(r)):
        block = encrypt(a + r[step % len(r)])
        a = (int.from_bytes(block[:8]) ^ step + 1).to_bytes(8)
        r[step % len(r)] = block[8:]
    return a + b"".join(r)


def _rfc3394_back(decrypt, data):
    a, r = data[:8], [data[i : i + 8] for i in range(8, len(data), 8)]
    for step in reversed(range(6 * len(r))):
        block = decrypt((int.from_bytes(a) ^ step + 1).to_bytes(8) + r[step % len(r)])
        a, r[step % len(r)] = block[:8], block[8:]
    return a, b"".join(r)
