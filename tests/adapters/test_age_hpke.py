"""HPKE as age uses it, held against the vectors of RFC 9180 and of draft-ietf-hpke-pq."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke as others
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519
from hypothesis import given
from hypothesis import strategies as st

from hem_provider.adapters.age import hpke
from hem_provider.adapters.age.kinds import BY_PREFIX, KINDS

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "hpke.json").read_text())
CHACHA = 3
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def field(vector, name):
    return bytes.fromhex(vector[name])


def private_halves(kind, secret):
    """Of a vector: the classical key, and ML-KEM's (draft-irtf-cfrg-hybrid-kems-07, expandKey)."""
    if not kind.hybrid:
        return ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1()), None
    expanded = hashlib.shake_256(secret).digest(64 + 128)
    post_quantum = mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
    if kind.curve == "CURVE25519":
        return x25519.X25519PrivateKey.from_private_bytes(expanded[64:96]), post_quantum
    numbers = (int.from_bytes(expanded[64 + 32 * n : 96 + 32 * n], "big") for n in range(4))
    return ec.derive_private_key(next(n for n in numbers if 0 < n < P256_ORDER), ec.SECP256R1()), post_quantum


@pytest.mark.parametrize("vector", VECTORS, ids=lambda each: each["source"] + hex(each["kem_id"]))
def test_secrets_and_keys_are_those_of_the_vectors(vector):
    (kind,) = [each for each in KINDS if each.kem and each.kem.number == vector["kem_id"]]
    own, post_quantum = private_halves(kind, field(vector, "skRm"))
    encapsulated, public = field(vector, "enc"), field(vector, "pkRm")
    share = encapsulated[-kind.share_size :]
    exchange = (ec.ECDH(), kind.load(share)) if kind.curve == "SECP256R1" else (kind.load(share),)
    values = (own.exchange(*exchange), share, public[-kind.share_size :])
    assert kind.point(own.public_key()) == values[2]
    if post_quantum is None:
        secret = hpke.p256_secret(kind.kem, *values)
    else:
        post_quantum_secret = post_quantum.decapsulate(encapsulated[: -kind.share_size])
        secret = hpke.hybrid_secret(kind.kem, post_quantum_secret, *values)
    assert secret.hex() == vector["shared_secret"]
    if vector["aead_id"] == CHACHA:
        key, nonce = hpke._schedule(kind.kem, secret, field(vector, "info"))
        assert (key.hex(), nonce.hex()) == (vector["key"], vector["base_nonce"])


def test_cryptography_opens_what_is_wrapped_for_p256():
    kind = BY_PREFIX["age1tag"]
    private = ec.generate_private_key(ec.SECP256R1())
    other = ec.generate_private_key(ec.SECP256R1())
    share, point = kind.point(other.public_key()), kind.point(private.public_key())
    secret = hpke.p256_secret(kind.kem, other.exchange(ec.ECDH(), private.public_key()), share, point)
    suite = others.Suite(others.KEM.P256, others.KDF.HKDF_SHA256, others.AEAD.CHACHA20_POLY1305)
    sealed = share + hpke.seal(kind.kem, secret, kind.info, b"a file's key")
    assert suite.decrypt(sealed, private, info=kind.info) == b"a file's key"


@given(st.binary(max_size=48), st.binary(min_size=1, max_size=1))
def test_what_was_changed_is_not_opened(data, bit):
    kem = BY_PREFIX["age1tag"].kem
    sealed = hpke.seal(kem, bytes(32), b"info", data)
    assert hpke.open_sealed(kem, bytes(32), b"info", sealed) == data
    for secret, info, body in (
        (b"\1" * 32, b"info", sealed),
        (bytes(32), b"other", sealed),
        (bytes(32), b"info", sealed[:-1] + bytes([sealed[-1] ^ (bit[0] or 1)])),
    ):
        with pytest.raises(InvalidTag):
            hpke.open_sealed(kem, secret, info, body)
