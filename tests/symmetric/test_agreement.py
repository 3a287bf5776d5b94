"""Keys derived from an ECDH secret: published vector E, and the derivation recomputed here."""

from __future__ import annotations

import base64

import pytest
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, hmac, keywrap
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x448, x25519
from cryptography.hazmat.primitives.ciphers import aead, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from support.rawkeys import plant, raw_key

from hem_provider.symmetric import (
    AESGCM,
    HMAC,
    Agreement,
    Cipher,
    InvalidUnwrap,
    WrongKeyType,
    aes_key_unwrap,
    aes_key_wrap,
    aes_key_wrap_with_padding,
    open,
    seal,
)

PEER = base64.b64decode("V9tLNZ8jrl4Ubk4lEgVnBHIlBjSMFQwUdT0Mkz0E1CE=")
SECRET = bytes.fromhex("8ec6b6ce150d556afc5f16c743ce7b0464b7bb1aba51bc5131fe917ee5fc3711")
AES_KEY = bytes.fromhex("503f5828bd42faf6f30c0e90c01d6fdd90532251a29eb958c9af3d721ca93834")
AES_KEY_CTX = bytes.fromhex("2f7c8a5f3371c622fccd71549f993439a71032f3e33bcb1beee4b3c9fb04bb1f")
KEK = bytes.fromhex("4def593bd95d2311fc5942d8332962ccc3471b8ac20e4c38ae95c00cfd431ab3")


@pytest.fixture
def ours(hem, rig):
    kid = plant(rig.device, "CURVE25519", bytes(range(1, 33)), label="vector E")
    assert kid == "06a04f25cc20b81824a897540c9485b4"
    return hem.keys.find(label="vector E")


def test_vector_e_hmac(ours):
    mac = HMAC(Agreement(ours, PEER), hashes.SHA256())
    mac.update(b"abc")
    expected = "0dc63f688c494bd88a940c945c0106736a77e70cd46f09e3324c877225ceb9ac"
    assert mac.copy().finalize().hex() == expected
    mac.copy().verify(bytes.fromhex(expected))
    with pytest.raises(InvalidSignature):
        mac.verify(bytes(32))


def test_vector_e_wrap(ours):
    wrapped = aes_key_wrap(Agreement(ours, PEER), bytes(range(32)))
    assert wrapped.hex() == "91205d81c543cb1f516ec9d86fa4008d807614136dd4d058b592b542e9b5f0de4328bcbdee19f398"
    assert aes_key_unwrap(Agreement(ours, PEER), wrapped) == bytes(range(32))
    assert keywrap.aes_key_unwrap(KEK, wrapped) == bytes(range(32))
    with pytest.raises(InvalidUnwrap):
        aes_key_unwrap(Agreement(ours, PEER, b"ctx"), wrapped)


def test_vector_e_gcm(ours):
    published = bytes(range(16)) + bytes.fromhex("1e8cba45b7" + "26af004074bfdcf3a691efa67356ba62")
    assert open(Agreement(ours, PEER), published, b"aad") == b"hello"
    assert AESGCM(Agreement(ours, PEER)).encrypt(bytes(range(16)), b"hello", b"aad") == published[16:]


def test_vector_e_aes_keys_with_and_without_context(ours):
    for context, raw in ((b"", AES_KEY), (b"ctx", AES_KEY_CTX)):
        sealed = seal(Agreement(ours, PEER, context), b"data", b"aad")
        assert aead.AESGCM(raw).decrypt(sealed[:16], sealed[16:], b"aad") == b"data"


CURVES = {
    "SECP256R1": ec.SECP256R1(),
    "SECP384R1": ec.SECP384R1(),
    "SECP521R1": ec.SECP521R1(),
    "SECP256K1": ec.SECP256K1(),
}


def other_side(kind):
    """A local private key, and the function from a local public key to the secret."""
    if kind == "CURVE25519":
        private = x25519.X25519PrivateKey.generate()
        return private, private.exchange
    if kind == "CURVE448":
        private = x448.X448PrivateKey.generate()
        return private, private.exchange
    private = ec.generate_private_key(CURVES[kind])
    return private, lambda public: private.exchange(ec.ECDH(), public)


def local_public(kind, device_form):
    if kind == "CURVE25519":
        return x25519.X25519PublicKey.from_public_bytes(device_form)
    if kind == "CURVE448":
        return x448.X448PublicKey.from_public_bytes(device_form)
    return ec.EllipticCurvePublicKey.from_encoded_point(CURVES[kind], device_form)


@pytest.mark.parametrize("bits", [128, 192, 256])
@pytest.mark.parametrize("kind", [*CURVES, "CURVE25519", "CURVE448"])
def test_both_sides_derive_the_same_keys(hem, calls, kind, bits):
    key = hem.keys.create(kind, label="agree", usage={"derive"})
    private, exchange = other_side(kind)
    secret = exchange(local_public(kind, key.public_bytes()))
    context = b"c" * 64
    agreed = Agreement(key, private.public_key(), context, bits=bits)

    def derived(purpose):
        return HKDF(hashes.SHA256(), bits // 8, salt=None, info=purpose + context).derive(secret)

    sealed, count = calls(key, seal, agreed, b"data", b"more than sixteen bytes")
    assert count == 1
    ciphertext, count = calls(key, AESGCM(agreed).encrypt, bytes(12), bytes(2016), b"aad")
    assert (ciphertext, count) == (
        aead.AESGCM(derived(b"encedo-aes")).encrypt(bytes(12), bytes(2016), b"aad"),
        1,
    )
    assert open(agreed, sealed, b"more than sixteen bytes") == b"data"
    wrapped, count = calls(key, aes_key_wrap, agreed, bytes(32))
    assert (wrapped, count) == (keywrap.aes_key_wrap(derived(b"encedo-kek"), bytes(32)), 1)
    padded = aes_key_wrap_with_padding(agreed, bytes(21))
    assert padded == keywrap.aes_key_wrap_with_padding(derived(b"encedo-kek"), bytes(21))

    mac, native = HMAC(agreed, hashes.SHA3_384()), hmac.HMAC(secret, hashes.SHA3_384())
    mac.update(b"data")
    native.update(b"data")
    assert calls(key, mac.finalize) == (native.finalize(), 1)


def test_the_peer_may_be_a_stored_key(hem, rig, calls):
    one, two = (hem.keys.create("CURVE25519", label=name) for name in ("one", "two"))
    sealed, count = calls(one, lambda: seal(Agreement(one, two), b"data"))
    assert count == 1  # by KID: its public half is not even fetched
    assert open(Agreement(two, one), sealed) == b"data"
    with rig.connect() as other:  # a key seen through another connection goes by its public half
        assert open(Agreement(one, other.keys.find(label="two")), sealed) == b"data"


def test_a_derived_key_wraps_nothing_of_eight_bytes_and_less(ours):
    with pytest.raises(UnsupportedAlgorithm, match="9 bytes and more"):
        aes_key_wrap_with_padding(Agreement(ours, PEER), b"12345678")


def test_an_agreement_needs_no_mode_family(ours):
    context = Cipher(Agreement(ours, PEER, b"files"), modes.CTR(bytes(16))).encryptor()
    assert len(context.update(b"data")) == 4


def test_what_does_not_fit_is_refused_without_a_call(hem, ours):
    signing = hem.keys.create("SECP256R1", label="sign", usage={"sign"})
    deriving = hem.keys.create("SECP256R1", label="derive", usage={"derive"})
    x448_key = hem.keys.create("CURVE448", label="448")
    aes = hem.keys.create("AES256", label="aes")
    p384 = ec.generate_private_key(ec.SECP384R1()).public_key()
    before = hem.statistics.calls
    for arguments, message in (
        ((aes, PEER), "is AES256; accepted: an EC, X25519 or X448 key"),
        ((b"key", PEER), "key: bytes; accepted: a key of a HEM"),
        ((signing, bytes(33)), "not made for 'derive'"),
        ((deriving, p384), "secp384r1; accepted: SECP256R1"),
        ((deriving, ours), "is CURVE25519; accepted: SECP256R1"),
        ((ours, x448.X448PrivateKey.generate().public_key()), "X448; accepted: CURVE25519"),
        ((deriving, x25519.X25519PrivateKey.generate().public_key()), "X25519; accepted: SECP256R1"),
    ):
        with pytest.raises(WrongKeyType, match=message):
            Agreement(*arguments)
    for arguments, message in (
        ((ours, bytes(31)), "peer: 31 bytes; a CURVE25519 public key in device form has 32"),
        ((ours, bytes(32)), "32 bytes that are no CURVE25519 public key"),
        ((ours, b"\1" + bytes(31)), "no CURVE25519 public key"),  # a point of small order
        ((deriving, bytes(33)), "33 bytes that are no SECP256R1 public key"),
        ((deriving, b"\2" + b"\xff" * 32), "no SECP256R1 public key"),
        ((ours, PEER, bytes(65)), "context: 65 bytes; accepted: at most 64"),
        ((ours, PEER, b"", 512), "bits: 512; accepted: 128, 192, 256"),
    ):
        with pytest.raises(ValueError, match=message):
            Agreement(*arguments)
    with pytest.raises(ValueError, match="56 bytes that are no CURVE448 public key"):
        Agreement(x448_key, bytes(56))
    with pytest.raises(TypeError):
        Agreement(ours, ed25519.Ed25519PrivateKey.generate().public_key())
    assert hem.statistics.calls == before


def test_the_planted_key_is_the_one_published(ours, rig):
    private = x25519.X25519PrivateKey.from_private_bytes(raw_key(rig.device, ours.kid))
    assert private.exchange(x25519.X25519PublicKey.from_public_bytes(PEER)) == SECRET
