"""HEM keys under cryptography's interfaces: what they do, and what they refuse before any request."""

from __future__ import annotations

import copy
import hashlib
import pickle

import pytest
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

import hem_provider.keys as keys_module
from hem_provider.errors import HemKeyNotFound, KeyNotExportable, MessageTooLong
from hem_provider.keys.remote import RemotePrivateKey

CURVES = ["SECP256R1", "SECP384R1", "SECP521R1", "SECP256K1"]
HASHES = [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()]
CLASSES = sorted({name for _, name in keys_module.CLASSES.values()})


@pytest.mark.parametrize("cls", CLASSES)
def test_no_abstract_method_is_left(cls):
    cls = getattr(keys_module, cls)
    assert issubclass(cls, RemotePrivateKey)
    assert not getattr(cls, "__abstractmethods__", frozenset())


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("algorithm", HASHES, ids=lambda each: each.name)
def test_every_curve_signs_with_every_sha2(hem, name, algorithm):
    private = hem.keys.create(name, label="k").private_key(ec.EllipticCurvePrivateKey)
    signature = private.sign(b"data", ec.ECDSA(algorithm))
    private.public_key().verify(signature, b"data", ec.ECDSA(algorithm))
    with pytest.raises(InvalidSignature):
        private.public_key().verify(signature, b"other", ec.ECDSA(algorithm))


@pytest.mark.parametrize("name", CURVES)
def test_curve_and_size_are_known_without_io(hem, name):
    private = hem.keys.create(name, label="k").private_key(ec.EllipticCurvePrivateKey)
    before = hem.statistics.calls
    assert private.curve.name == name.lower()
    assert private.key_size == private.curve.key_size
    assert hem.statistics.calls == before


def test_ed25519_signs_what_its_native_public_key_verifies(hem):
    private = hem.keys.create("ED25519", label="k").private_key(ed25519.Ed25519PrivateKey)
    public = private.public_key()
    assert type(public).__module__.startswith("cryptography.")
    for data in (b"d", bytearray(b"data"), memoryview(bytes(2048))):
        public.verify(private.sign(data), data)


@pytest.mark.parametrize("name", ["SECP256R1", "SECP256K1"])
def test_ecdh_agrees_with_a_native_key(hem, name):
    private = hem.keys.create(name, label="k").private_key(ec.EllipticCurvePrivateKey)
    local = ec.generate_private_key(private.curve)
    assert private.exchange(ec.ECDH(), local.public_key()) == local.exchange(ec.ECDH(), private.public_key())


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("algorithm", [*HASHES, hashes.SHA3_256()], ids=lambda each: each.name)
def test_hashed_ecdh_covers_the_whole_secret_of_every_curve(hem, name, algorithm):
    private = hem.keys.create(name, label="k").private_key()
    local = ec.generate_private_key(private.curve)
    digest = hashes.Hash(algorithm)
    digest.update(local.exchange(ec.ECDH(), private.public_key()))
    assert private.exchange_hashed(algorithm, local.public_key()) == digest.finalize()


@pytest.mark.parametrize("name", ["SECP384R1", "SECP521R1"])
def test_raw_ecdh_that_the_device_would_cut_is_refused_and_points_to_the_hashed_one(hem, name):
    private = hem.keys.create(name, label="k").private_key()
    peer = ec.generate_private_key(private.curve).public_key()
    before = hem.statistics.calls
    with pytest.raises(UnsupportedAlgorithm, match="exchange_hashed"):
        private.exchange(ec.ECDH(), peer)
    assert hem.statistics.calls == before


def test_what_an_ec_key_cannot_do_is_refused_before_the_network(hem):
    private = hem.keys.create("SECP256R1", label="k").private_key()
    before = hem.statistics.calls
    for algorithm, message in (
        (ec.ECDSA(hashes.SHA1()), "sign with sha1.*possible: sha256, sha384, sha512"),  # noqa: S303
        (ec.ECDSA(hashes.SHA3_256()), "sha3-256"),
        (ec.ECDSA(hashes.SHA224()), "sha224"),
        (ec.ECDSA(Prehashed(hashes.SHA256())), "cannot sign a digest"),
        (ec.ECDSA(hashes.SHA256(), deterministic_signing=True), "deterministic"),
        (object(), "ECDSA"),
    ):
        with pytest.raises(UnsupportedAlgorithm, match=message):
            private.sign(b"data", algorithm)
    other = ec.generate_private_key(ec.SECP384R1()).public_key()
    with pytest.raises(ValueError, match="on secp384r1; this key is on secp256r1"):
        private.exchange(ec.ECDH(), other)
    with pytest.raises(TypeError, match="Ed25519PublicKey"):
        private.exchange(ec.ECDH(), ed25519.Ed25519PrivateKey.generate().public_key())
    with pytest.raises(UnsupportedAlgorithm, match="possible: ec.ECDH"):
        private.exchange("ECDH", other)
    with pytest.raises(UnsupportedAlgorithm, match="blake2s"):
        private.exchange_hashed(hashes.BLAKE2s(32), ec.generate_private_key(ec.SECP256R1()).public_key())
    assert hem.statistics.calls == before


@pytest.mark.parametrize("name", ["SECP256R1", "ED25519"])
def test_sizes_are_checked_before_the_network(hem, name):
    private = hem.keys.create(name, label="k").private_key()
    arguments = (ec.ECDSA(hashes.SHA256()),) if name == "SECP256R1" else ()
    before = hem.statistics.calls
    with pytest.raises(MessageTooLong, match="2049 bytes; the device takes at most 2048"):
        private.sign(bytes(2049), *arguments)
    with pytest.raises(ValueError, match="0 bytes; accepted: 1 to 2048"):
        private.sign(b"", *arguments)
    assert hem.statistics.calls == before


def test_a_key_is_used_only_for_what_it_was_made(hem):
    signing = hem.keys.create("SECP256R1", label="s", usage={"sign"}).private_key()
    deriving = hem.keys.create("SECP256R1", label="d", usage={"derive"}).private_key()
    peer = ec.generate_private_key(ec.SECP256R1()).public_key()
    before = hem.statistics.calls
    with pytest.raises(UnsupportedAlgorithm, match="not made for 'derive'"):
        signing.exchange(ec.ECDH(), peer)
    with pytest.raises(UnsupportedAlgorithm, match="not made for 'sign'"):
        deriving.sign(b"data", ec.ECDSA(hashes.SHA256()))
    assert hem.statistics.calls == before


@pytest.mark.parametrize("name", ["SECP256R1", "ED25519"])
def test_nothing_private_leaves_and_nothing_local_is_made_silently(hem, name):
    private = hem.keys.create(name, label="k").private_key()
    before = hem.statistics.calls
    refusals = [
        lambda: private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        private.private_bytes_raw,
        private.private_numbers,
        lambda: pickle.dumps(private),
        type(private).generate,
        lambda: type(private).from_private_bytes(bytes(32)),
        lambda: type(private).from_seed_bytes(bytes(32)),
    ]
    for refusal in refusals:
        with pytest.raises(KeyNotExportable) as caught:
            refusal()
        assert isinstance(caught.value, TypeError)
    assert hem.statistics.calls == before


def test_copies_are_the_same_key(hem):
    private = hem.keys.create("SECP256R1", label="k").private_key()
    assert copy.copy(private) is private
    assert copy.deepcopy({"key": private})["key"] is private
    again = hem.keys.find(label="k").private_key()
    assert again == private
    assert len({again, private}) == 1
    assert private.kid in repr(private)


def test_a_key_of_another_class_than_asked_for_is_a_type_error(hem):
    key = hem.keys.create("SECP256R1", label="k")
    with pytest.raises(TypeError, match="SECP256R1, not Ed25519PrivateKey"):
        key.private_key(ed25519.Ed25519PrivateKey)


def test_types_without_a_private_key_object_say_so(hem):
    with pytest.raises(UnsupportedAlgorithm, match="AES256"):
        hem.keys.create("AES256", label="k").private_key()


def test_a_key_deleted_meanwhile_is_named(hem):
    key = hem.keys.create("ED25519", label="k")
    private = key.private_key()
    hem.keys.delete(key)
    with pytest.raises(HemKeyNotFound, match=key.kid):
        private.sign(b"data")


def test_what_a_website_verifies_at_a_login_could_be_signed(hem):
    """WebAuthn §7.2. What flags and counter say is the program's word: no authenticator (docs/python.md)."""
    private = hem.keys.create("SECP256R1", label="k", usage={"sign"}).private_key(ec.EllipticCurvePrivateKey)
    present, counter = b"\x01", bytes(4)
    authenticator = hashlib.sha256(b"example.org").digest() + present + counter
    message = authenticator + hashlib.sha256(b'{"type":"webauthn.get"}').digest()
    assert len(message) == 69
    public = private.public_key()
    hem.login(scope=f"keymgmt:use:{private.hem_key.kid}")
    before = hem.statistics.calls
    signature = private.sign(message, ec.ECDSA(hashes.SHA256()))
    assert hem.statistics.calls - before == 1
    public.verify(signature, message, ec.ECDSA(hashes.SHA256()))
