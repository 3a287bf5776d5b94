"""Keys of a device in memory, over ``cryptography``'s AES and HMAC: fast, and counted."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import keywrap

from hem_provider.errors import HemKeyNotFound

VAULT = "00112233445566778899aabbccddeeff"
KID, OTHER_KID, NAMES_KID = "a" * 32, "b" * 32, "c" * 32


@dataclass
class MemoryKeys:
    """A device with whatever key it is asked for, except those ``gone``; ``calls`` counts."""

    seed: bytes = b"device"
    gone: set[str] = field(default_factory=set)
    calls: int = 0

    def wrapping(self, kid: str) -> MemoryKey:
        return MemoryKey(self, kid)

    def naming(self, kid: str) -> MemoryKey:
        return MemoryKey(self, kid)


class MemoryKey:
    """``AesKey`` as far as wrapping goes, and ``MacKey``."""

    key_size = 256

    def __init__(self, device: MemoryKeys, kid: str) -> None:
        self.device = device
        self.kid = kid
        self.name = f"key {kid}"
        self._secret = hashlib.sha256(device.seed + kid.encode()).digest()

    def confirm(self) -> None:
        if self.kid in self.device.gone:
            raise HemKeyNotFound(f"no key {self.kid}")

    def _call(self) -> None:
        self.device.calls += 1
        self.confirm()

    def wrap(self, data, icv=None):
        assert icv is None
        self._call()
        return keywrap.aes_key_wrap(self._secret, data)

    def unwrap(self, data, icv=None):
        assert icv is None
        self._call()
        try:
            return keywrap.aes_key_unwrap(self._secret, data)
        except keywrap.InvalidUnwrap:
            return None

    def mac(self, data):
        self._call()
        return hmac.digest(self._secret, data, "sha256")

    def accepts(self, data, mac):
        return hmac.compare_digest(self.mac(data), mac)

    def ecb_encrypt(self, blocks):
        raise NotImplementedError

    ecb_decrypt = gcm_encrypt = gcm_decrypt = ecb_encrypt


def sealed(body: bytes) -> bytes:
    """``body`` with a checksum that is right, as somebody who alters a vault would make it."""
    return body + b"sha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n"


def body(data: bytes) -> bytes:
    """A vault without its checksum."""
    return data[: data.rindex(b"sha256 ")]
