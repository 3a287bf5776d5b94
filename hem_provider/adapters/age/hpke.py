"""HPKE (RFC 9180) as age uses it: mode base, HKDF-SHA256, ChaCha20Poly1305, one message a key.

What is made here begins with the secrets that a key agreement gives, since with a device's key that
happens elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from hem_provider.records import frozen

__all__ = ["Kem", "hybrid_secret", "open_sealed", "p256_secret", "seal"]


@frozen
class Kem:
    """A key encapsulation: its number (RFC 9180 §7.1, draft-ietf-hpke-pq-03), and for a hybrid the label
    that keeps its secrets apart from others'."""

    number: int
    label: bytes = b""


_SHA256, _CHACHA20_POLY1305 = 1, 3
_VERSION, _BASE = b"HPKE-v1", b"\x00"
_KEY, _NONCE = 32, 12


def p256_secret(kem: Kem, agreed: bytes, encapsulated: bytes, public: bytes) -> bytes:
    """The shared secret of DHKEM(P-256, HKDF-SHA256) (RFC 9180 §4.1). Points are uncompressed."""
    suite = b"KEM" + kem.number.to_bytes(2, "big")
    extracted = _extract(b"", suite, b"eae_prk", agreed)
    return _expand(extracted, suite, b"shared_secret", encapsulated + public, 32)


def hybrid_secret(kem: Kem, post_quantum: bytes, agreed: bytes, encapsulated: bytes, public: bytes) -> bytes:
    """The shared secret of a hybrid (draft-ietf-hpke-pq-03, draft-irtf-cfrg-hybrid-kems-07): of ML-KEM's
    secret and the agreed one, with the share and public key of the latter."""
    return hashlib.sha3_256(post_quantum + agreed + encapsulated + public + kem.label).digest()


def seal(kem: Kem, secret: bytes, info: bytes, data: bytes) -> bytes:
    """``data`` encrypted under a shared secret, with a tag of 16 bytes."""
    key, nonce = _schedule(kem, secret, info)
    return ChaCha20Poly1305(key).encrypt(nonce, data, None)


def open_sealed(kem: Kem, secret: bytes, info: bytes, data: bytes) -> bytes:
    """The inverse. ``cryptography.exceptions.InvalidTag``."""
    key, nonce = _schedule(kem, secret, info)
    return ChaCha20Poly1305(key).decrypt(nonce, data, None)


def _schedule(kem: Kem, secret: bytes, info: bytes) -> tuple[bytes, bytes]:
    """The key and nonce of the first message (RFC 9180 §5.1)."""
    numbers = (kem.number, _SHA256, _CHACHA20_POLY1305)
    suite = b"HPKE" + b"".join(each.to_bytes(2, "big") for each in numbers)
    context = _BASE + _extract(b"", suite, b"psk_id_hash", b"") + _extract(b"", suite, b"info_hash", info)
    extracted = _extract(secret, suite, b"secret", b"")
    return (
        _expand(extracted, suite, b"key", context, _KEY),
        _expand(extracted, suite, b"base_nonce", context, _NONCE),
    )


def _extract(salt: bytes, suite: bytes, label: bytes, secret: bytes) -> bytes:
    """LabeledExtract (RFC 9180 §4)."""
    return hmac.digest(salt or bytes(32), _VERSION + suite + label + secret, hashlib.sha256)


def _expand(extracted: bytes, suite: bytes, label: bytes, info: bytes, size: int) -> bytes:
    """LabeledExpand (RFC 9180 §4) of at most 32 bytes."""
    labelled = size.to_bytes(2, "big") + _VERSION + suite + label + info
    return hmac.digest(extracted, labelled + b"\x01", hashlib.sha256)[:size]
