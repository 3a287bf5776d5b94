"""ML-KEM (FIPS 203) over seeds d ‖ z of 64 bytes.

``cryptography`` has ML-KEM-768 and -1024; ML-KEM-512 comes from ``kyber-py``, loaded when first used.
"""

from __future__ import annotations

import functools
from typing import Any, Final, Protocol

__all__ = ["CIPHERTEXT_BYTES", "decapsulate", "encapsulate", "public_key"]

CIPHERTEXT_BYTES: Final = {"MLKEM512": 768, "MLKEM768": 1088, "MLKEM1024": 1568}


class _Kem(Protocol):
    @property
    def public(self) -> bytes: ...
    def encapsulate(self) -> tuple[bytes, bytes]: ...
    def decapsulate(self, ciphertext: bytes) -> bytes: ...


class _Native:
    def __init__(self, name: str, seed: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric import mlkem

        private: Any = {"MLKEM768": mlkem.MLKEM768PrivateKey, "MLKEM1024": mlkem.MLKEM1024PrivateKey}[name]
        self._key = private.from_seed_bytes(seed)
        self.public: bytes = self._key.public_key().public_bytes_raw()

    def encapsulate(self) -> tuple[bytes, bytes]:
        secret, ciphertext = self._key.public_key().encapsulate()
        return secret, ciphertext

    def decapsulate(self, ciphertext: bytes) -> bytes:
        return bytes(self._key.decapsulate(ciphertext))


class _PurePython:
    """Slow (milliseconds) and not constant-time: good enough where nothing is to be protected."""

    def __init__(self, name: str, seed: bytes) -> None:
        from kyber_py import ml_kem

        self._kem: Any = {
            "MLKEM512": ml_kem.ML_KEM_512,
            "MLKEM768": ml_kem.ML_KEM_768,
            "MLKEM1024": ml_kem.ML_KEM_1024,
        }[name]
        public, self._private = self._kem.key_derive(seed)
        self.public = bytes(public)

    def encapsulate(self) -> tuple[bytes, bytes]:
        secret, ciphertext = self._kem.encaps(self.public)
        return bytes(secret), bytes(ciphertext)

    def decapsulate(self, ciphertext: bytes) -> bytes:
        return bytes(self._kem.decaps(self._private, ciphertext))


@functools.lru_cache(64)
def _load(name: str, seed: bytes) -> _Kem:
    return _PurePython(name, seed) if name == "MLKEM512" else _Native(name, seed)


def public_key(name: str, seed: bytes) -> bytes:
    """The encapsulation key of a seed."""
    return _load(name, seed).public


def encapsulate(name: str, seed: bytes) -> tuple[bytes, bytes]:
    """A fresh 32-byte shared secret and its ciphertext."""
    return _load(name, seed).encapsulate()


def decapsulate(name: str, seed: bytes, ciphertext: bytes) -> bytes:
    """The 32-byte shared secret; ``ValueError`` for a ciphertext of another length."""
    if len(ciphertext) != CIPHERTEXT_BYTES[name]:
        raise ValueError(f"a {name} ciphertext has {CIPHERTEXT_BYTES[name]} bytes, not {len(ciphertext)}")
    return _load(name, seed).decapsulate(ciphertext)
