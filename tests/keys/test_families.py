"""Ed448, X25519, X448, and the variants of EdDSA."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed448, x448, x25519

from hem_provider import keys
from hem_provider.errors import HemKeyNotFound, MessageTooLong


def test_ed448_signs_what_its_native_public_key_verifies(hem):
    private = hem.keys.create("ED448", label="k").private_key(ed448.Ed448PrivateKey)
    private.public_key().verify(private.sign(b"data"), b"data")


VARIANTS = [
    (keys.Ed25519ph, "ED25519", b""),
    (keys.Ed25519ph, "ED25519", b"context"),
    (keys.Ed25519ctx, "ED25519", b"context"),
    (keys.Ed448ctx, "ED448", b""),
    (keys.Ed448ctx, "ED448", bytes(255)),
    (keys.Ed448ph, "ED448", b""),
    (keys.Ed448ph, "ED448", b"context"),
]


@pytest.mark.parametrize(("variant", "name", "context"), VARIANTS)
def test_a_variant_signs_what_an_independent_library_verifies(hem, variant, name, context):
    from Crypto.Hash import SHA512, SHAKE256
    from Crypto.Signature import eddsa

    key = hem.keys.create(name, label="k")
    signature = variant(key, context=context).sign(b"data")
    public = eddsa.import_public_key(key.public_bytes())
    message = b"data"
    if variant is keys.Ed25519ph:
        message = SHA512.new(b"data")
    elif variant is keys.Ed448ph:
        message = SHAKE256.new(b"data")
    eddsa.new(public, "rfc8032", context=context or None).verify(message, signature)


@pytest.mark.parametrize(("variant", "name", "context"), VARIANTS)
def test_a_variant_verifies_on_the_device_its_own_message_and_context_only(hem, variant, name, context):
    key = hem.keys.create(name, label="k")
    signer = variant(key, context=context)
    signature = signer.sign(b"data")
    signer.verify(signature, b"data")
    other = variant(key, context=b"another")
    for wrong in (
        lambda: signer.verify(signature, b"other"),
        lambda: other.verify(signature, b"data"),
        lambda: signer.verify(signature[:-1], b"data"),
        lambda: signer.verify(bytes(len(signature)), b"data"),
    ):
        with pytest.raises(InvalidSignature):
            wrong()


def test_a_variants_key_that_is_gone_is_not_an_invalid_signature(hem):
    key = hem.keys.create("ED25519", label="k")
    variant = keys.Ed25519ph(key)
    hem.keys.delete(key)
    with pytest.raises(HemKeyNotFound):
        variant.verify(bytes(64), b"data")


def test_variants_refuse_other_types_contexts_and_sizes_before_the_network(hem):
    ed25519, ed448_key = hem.keys.create("ED25519", label="a"), hem.keys.create("ED448", label="b")
    before = hem.statistics.calls
    with pytest.raises(UnsupportedAlgorithm, match="is ED448, not ED25519"):
        keys.Ed25519ph(ed448_key)
    with pytest.raises(ValueError, match="context: 0 bytes; accepted: 1 to 255"):
        keys.Ed25519ctx(ed25519)
    with pytest.raises(ValueError, match="context: 256 bytes"):
        keys.Ed448ctx(ed448_key, context=bytes(256))
    with pytest.raises(MessageTooLong):
        keys.Ed448ph(ed448_key).sign(bytes(2049))
    assert hem.statistics.calls == before


def test_x25519_agrees_with_a_native_key(hem):
    private = hem.keys.create("CURVE25519", label="k").private_key(x25519.X25519PrivateKey)
    local = x25519.X25519PrivateKey.generate()
    assert private.exchange(local.public_key()) == local.exchange(private.public_key())


@pytest.mark.parametrize(
    ("name", "module"),
    [("CURVE25519", x25519.X25519PrivateKey), ("CURVE448", x448.X448PrivateKey)],
)
@pytest.mark.parametrize("algorithm", [hashes.SHA256(), hashes.SHA3_512()], ids=lambda each: each.name)
def test_hashed_agreement_covers_the_whole_secret(hem, name, module, algorithm):
    private = hem.keys.create(name, label="k").private_key()
    local = module.generate()
    digest = hashes.Hash(algorithm)
    digest.update(local.exchange(private.public_key()))
    assert private.exchange_hashed(algorithm, local.public_key()) == digest.finalize()


def test_what_montgomery_keys_cannot_do_is_refused_before_the_network(hem):
    small = hem.keys.create("CURVE25519", label="a").private_key()
    large = hem.keys.create("CURVE448", label="b").private_key()
    x25519_peer = x25519.X25519PrivateKey.generate().public_key()
    x448_peer = x448.X448PrivateKey.generate().public_key()
    before = hem.statistics.calls
    with pytest.raises(UnsupportedAlgorithm, match="32 of the secret's 56 bytes.*exchange_hashed"):
        large.exchange(x448_peer)
    for refused in (
        lambda: small.exchange(x448_peer),
        lambda: large.exchange_hashed(hashes.SHA256(), x25519_peer),
    ):
        with pytest.raises(TypeError, match="accepted"):
            refused()
    with pytest.raises(UnsupportedAlgorithm, match="possible: sha256"):
        small.exchange_hashed(hashes.SHA1(), x25519_peer)  # noqa: S303
    assert hem.statistics.calls == before


def test_a_peer_of_small_order_is_refused(hem):
    private = hem.keys.create("CURVE25519", label="k").private_key()
    zero = x25519.X25519PublicKey.from_public_bytes(bytes(32))
    with pytest.raises(Exception, match="small order|refuses"):
        private.exchange(zero)
