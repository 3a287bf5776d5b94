"""PyNaCl's objects over a device: the other side uses PyNaCl alone and notices nothing."""

from __future__ import annotations

import copy
import pickle

import nacl.public
import nacl.signing
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.encoding import Base64Encoder, HexEncoder
from nacl.exceptions import BadSignatureError, CryptoError
from nacl.exceptions import TypeError as NaclTypeError

from hem_provider.adapters.nacl import Box, PrivateKey, SealedBox, SigningKey
from hem_provider.adapters.nacl.salsa import hsalsa20
from hem_provider.errors import HemKeyNotFound, KeyNotExportable, MessageTooLong


@pytest.fixture
def signing(hem):
    return SigningKey(hem.keys.create("ED25519", label="release"))


@pytest.fixture
def private(hem):
    return PrivateKey(hem.keys.create("CURVE25519", label="inbox"))


@pytest.fixture
def peer():
    return nacl.public.PrivateKey.generate()


def calls(hem, operation):
    before = hem.statistics.calls - hem.statistics.logins * 2
    operation()
    return hem.statistics.calls - hem.statistics.logins * 2 - before


def test_hsalsa20_gives_the_values_of_the_paper():
    """D. J. Bernstein, "Cryptography in NaCl", §8: first key and second key."""
    shared = bytes.fromhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
    first = bytes.fromhex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389")
    prefix = bytes.fromhex("69696ee955b62b73cd62bda875fc73d6")
    second = bytes.fromhex("dc908dda0b9344a953629b733820778880f3ceb421bb61b91cbd4c3e66256ce4")
    assert hsalsa20(shared) == first
    assert hsalsa20(first, prefix) == second


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_hsalsa20_is_what_libsodium_makes_of_a_secret(ours, theirs):
    mine, other = nacl.public.PrivateKey(ours), nacl.public.PrivateKey(theirs)
    secret = nacl.bindings.crypto_scalarmult(bytes(mine), bytes(other.public_key))
    assert hsalsa20(secret) == nacl.public.Box(mine, other.public_key).shared_key()


@pytest.mark.parametrize(("key", "nonce"), [(31, 16), (33, 16), (32, 15), (32, 24)])
def test_hsalsa20_refuses_other_sizes(key, nonce):
    with pytest.raises(ValueError, match=f"{key} and a nonce of {nonce} bytes"):
        hsalsa20(bytes(key), bytes(nonce))


@pytest.mark.parametrize("encoder", [nacl.encoding.RawEncoder, HexEncoder, Base64Encoder])
def test_a_signature_of_the_device_verifies_with_pynacl_alone(signing, encoder):
    signed = signing.sign(b"message", encoder)
    public = nacl.signing.VerifyKey(bytes(signing.verify_key))
    assert public.verify(signed, encoder=encoder) == b"message"
    assert encoder.decode(signed.message) == b"message"
    assert public.verify(b"message", encoder.decode(signed.signature)) == b"message"
    assert type(signed) is nacl.signing.SignedMessage
    with pytest.raises(BadSignatureError):
        public.verify(b"messagf", encoder.decode(signed.signature))


def test_signing_costs_one_call_and_verifying_none(hem, signing):
    assert calls(hem, lambda: signing.verify_key) == 1
    assert calls(hem, lambda: signing.sign(b"message")) == 1
    assert calls(hem, lambda: signing.verify_key.verify(signing.sign(b"message"))) == 1


def test_messages_that_a_device_does_not_sign_are_refused_before_any_call(hem, signing):
    signing.sign(b"x")
    before = hem.statistics.calls
    with pytest.raises(ValueError, match="0 bytes"):
        signing.sign(b"")
    with pytest.raises(MessageTooLong, match="2049.*2048"):
        signing.sign(bytes(2049))
    assert hem.statistics.calls == before
    assert signing.verify_key.verify(signing.sign(bytes(2048))) == bytes(2048)


def test_a_box_of_the_device_opens_what_pynacl_boxed_and_the_other_way(hem, private, peer):
    ours = Box(private, peer.public_key)
    theirs = nacl.public.Box(peer, private.public_key)
    assert ours.shared_key() == theirs.shared_key()
    message = b"m" * 5000
    assert ours.decrypt(theirs.encrypt(message)) == message
    assert theirs.decrypt(ours.encrypt(message)) == message
    nonce = bytes(24)
    assert ours.decrypt(theirs.encrypt(message, nonce).ciphertext, nonce) == message
    assert ours.decrypt(theirs.encrypt(message, encoder=HexEncoder), encoder=HexEncoder) == message
    with pytest.raises(CryptoError):
        ours.decrypt(theirs.encrypt(message)[:-1] + b"\0\0")


def test_a_box_is_one_call_however_many_messages(hem, private, peer):
    theirs = nacl.public.Box(peer, private.public_key)

    def many():
        box = Box(private, peer.public_key)
        for _ in range(5):
            assert box.decrypt(theirs.encrypt(b"message")) == b"message"

    assert calls(hem, many) == 1


def test_a_sealed_box_to_the_device_opens_with_it_and_with_nothing_else(hem, private, peer):
    sealed = nacl.public.SealedBox(nacl.public.PublicKey(bytes(private.public_key))).encrypt(b"message")
    assert SealedBox(private).decrypt(sealed) == b"message"
    assert calls(hem, lambda: SealedBox(private).decrypt(sealed)) == 1
    assert SealedBox(private).decrypt(SealedBox(private).encrypt(b"to myself")) == b"to myself"
    assert SealedBox(private).decrypt(HexEncoder.encode(sealed), HexEncoder) == b"message"
    with pytest.raises(CryptoError):
        SealedBox(peer).decrypt(sealed)
    other = PrivateKey(hem.keys.create("CURVE25519", label="other"))
    with pytest.raises(CryptoError):
        SealedBox(other).decrypt(sealed)


@given(data=st.data())
def test_a_sealed_box_with_any_byte_altered_is_refused(sealed_to_memory, data):
    box, sealed = sealed_to_memory
    altered = bytearray(sealed)
    altered[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CryptoError):
        box.decrypt(bytes(altered))


@pytest.fixture(scope="module")
def sealed_to_memory():
    """A sealed box whose device is one X25519 key in memory, for many cheap openings."""
    secret = nacl.public.PrivateKey.generate()

    class InMemory(PrivateKey):
        def __init__(self):
            self._public = secret.public_key

        def box_key(self, peer):
            raw = nacl.bindings.crypto_scalarmult(bytes(secret), peer)
            return hsalsa20(raw)

    private = InMemory()
    return SealedBox(private), SealedBox(private).encrypt(b"message")


@pytest.mark.parametrize("size", [0, 31, 32, 47])
def test_a_sealed_box_that_is_too_short_is_refused_without_a_call(hem, private, size):
    box = SealedBox(private)
    before = hem.statistics.calls
    with pytest.raises(CryptoError, match=f"at least 48 long; it has {size}"):
        box.decrypt(bytes(size))
    assert hem.statistics.calls == before


@pytest.mark.parametrize("point", [bytes(32), b"\1" + bytes(31)])
def test_a_peer_of_small_order_is_refused(private, point):
    with pytest.raises(CryptoError, match="no secret is agreed with this public key"):
        SealedBox(private).decrypt(point + bytes(40))
    with pytest.raises(CryptoError, match="no secret is agreed with this public key"):
        Box(private, nacl.public.PublicKey(point))


def test_boxes_take_ordinary_pynacl_keys_too(peer):
    other = nacl.public.PrivateKey.generate()
    assert Box(peer, other.public_key).shared_key() == nacl.public.Box(other, peer.public_key).shared_key()
    sealed = SealedBox(peer.public_key).encrypt(b"message")
    assert SealedBox(peer).decrypt(sealed) == b"message"
    with pytest.raises(TypeError):
        SealedBox(peer.public_key).decrypt(sealed)
    with pytest.raises(NaclTypeError):
        Box(b"key", other.public_key)
    with pytest.raises(NaclTypeError):
        SealedBox(b"key")


def test_they_pass_for_pynacls_own(signing, private, peer):
    assert isinstance(signing, nacl.signing.SigningKey)
    assert isinstance(private, nacl.public.PrivateKey)
    assert isinstance(Box(private, peer.public_key), nacl.public.Box)
    assert isinstance(SealedBox(private), nacl.public.SealedBox)


def test_the_secret_half_is_asked_for_in_vain(signing, private, peer):
    for key in (signing, private):
        for attempt in (bytes, lambda k: k.encode(), lambda k: k.encode(HexEncoder), pickle.dumps):
            with pytest.raises(KeyNotExportable, match=f"key {key.hem_key.kid} never leaves the device"):
                attempt(key)
        assert key.hem_key.kid in repr(key)
        assert str(key) == repr(key)
    with pytest.raises(KeyNotExportable, match="use those of hem_provider.adapters.nacl"):
        nacl.public.Box(private, peer.public_key)


def test_what_would_make_a_local_key_is_refused(signing):
    for attempt in (SigningKey.generate, PrivateKey.generate, lambda: PrivateKey.from_seed(bytes(32))):
        with pytest.raises(KeyNotExportable):
            attempt()
    with pytest.raises(KeyNotExportable, match="CURVE25519"):
        signing.to_curve25519_private_key()


def test_every_public_method_of_pynacl_is_ours_or_needs_no_secret():
    """A later PyNaCl may add a method that reads the secret bytes of an object that has none."""
    local = {
        SigningKey: set(),
        PrivateKey: set(),
        Box: {"encrypt", "decrypt", "decode", "shared_key", "encode"},
        SealedBox: {"encrypt", "encode"},
    }
    for kind, inherited in local.items():
        base = next(each for each in kind.__mro__ if each.__module__.startswith("nacl."))
        public = {name for each in base.__mro__[:-1] for name in vars(each) if not name.startswith("_")}
        methods = {name for name in public if callable(getattr(base, name))}
        ours = {name for each in kind.__mro__ if each.__module__ == kind.__module__ for name in vars(each)}
        assert methods - ours == inherited & methods


def test_keys_of_other_types_are_refused_by_name(hem):
    curve, edwards = hem.keys.create("CURVE25519", label="a"), hem.keys.create("ED25519", label="b")
    for kind, key, wanted in ((SigningKey, curve, "ED25519"), (PrivateKey, edwards, "CURVE25519")):
        with pytest.raises(TypeError, match=f"is {key.type.name}; accepted: {wanted}"):
            kind(key)
        with pytest.raises(TypeError, match="from a key of a HEM, not from bytes"):
            kind(bytes(32))


def test_equality_and_copies_follow_the_key_on_the_device(hem, signing, private):
    assert SigningKey(signing.hem_key) == signing
    assert {SigningKey(signing.hem_key)} == {signing}
    assert signing != SigningKey(hem.keys.create("ED25519", label="other"))
    assert signing != private
    assert signing != nacl.signing.SigningKey.generate()
    assert copy.copy(signing) is signing
    assert copy.deepcopy(private) is private


def test_a_key_that_was_deleted_is_told(hem, signing, private, peer):
    private.public_key  # noqa: B018 - so that only the agreement asks the device
    hem.keys.delete(signing.hem_key)
    hem.keys.delete(private.hem_key)
    with pytest.raises(HemKeyNotFound):
        signing.sign(b"message")
    with pytest.raises(HemKeyNotFound):
        Box(private, peer.public_key)
    with pytest.raises(HemKeyNotFound):
        SealedBox(private).decrypt(bytes(64))
