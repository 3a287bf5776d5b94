"""Arguments are judged as ``cryptography`` judges them, before any call."""

from __future__ import annotations

import hashlib
import mmap

import pytest
from cryptography.exceptions import (
    AlreadyFinalized,
    AlreadyUpdated,
    InvalidSignature,
    InvalidTag,
    NotYetFinalized,
    UnsupportedAlgorithm,
)
from cryptography.hazmat.primitives import cmac, keywrap
from cryptography.hazmat.primitives.ciphers import (
    AEADDecryptionContext,
    AEADEncryptionContext,
    CipherContext,
    aead,
    algorithms,
    modes,
)
from cryptography.hazmat.primitives.ciphers import Cipher as NativeCipher
from symmetric.double import LocalAesKey

import hem_provider.symmetric as symmetric
from hem_provider.errors import MessageTooLong
from hem_provider.symmetric import AESGCM, CMAC, Cipher, WrongKeyType, gcm_contexts

RAW = bytes(range(16))


@pytest.fixture
def key():
    key = LocalAesKey(RAW)
    yield key
    assert key.calls == [], "refused too late"


def same_error(ours, native, *arguments):
    """Both refuse with the same class."""
    with pytest.raises(Exception) as theirs:
        native(*arguments)
    with pytest.raises(type(theirs.value)):
        ours(*arguments)


@pytest.mark.parametrize(
    ("nonce", "data", "aad"),
    [
        (bytes(7), b"", None),
        (b"", b"", None),
        (bytes(129), b"", None),
        ("twelve bytes", b"", None),
        (bytes(12), "text", None),
        (bytes(12), None, None),
        (bytes(12), b"", "text"),
    ],
)
def test_gcm_refuses_what_cryptography_refuses(key, nonce, data, aad):
    same_error(AESGCM(key).encrypt, aead.AESGCM(RAW).encrypt, nonce, data, aad)
    same_error(AESGCM(key).decrypt, aead.AESGCM(RAW).decrypt, nonce, data, aad)


@pytest.mark.parametrize("size", [0, 1, 15])
def test_less_than_a_tag_is_an_invalid_tag(key, size):
    with pytest.raises(InvalidTag):
        AESGCM(key).decrypt(bytes(12), bytes(size), None)


def test_gcm_over_the_size_limit_is_refused_before_it_is_copied(key):
    with mmap.mmap(-1, 2**31) as large:
        with pytest.raises(OverflowError, match="data: 2147483648 bytes; accepted: at most 2147483647"):
            AESGCM(key).encrypt(bytes(12), large, None)
        with pytest.raises(OverflowError, match="associated_data: 2147483648"):
            AESGCM(key).encrypt(bytes(12), b"", large)
        with pytest.raises(OverflowError):
            AESGCM(key).decrypt(bytes(12), large, None)


def test_a_buffer_too_small_or_read_only_is_refused_before_any_call(key):
    with pytest.raises(ValueError, match="at least 26 bytes.*has 25"):
        AESGCM(key).encrypt_into(bytes(12), bytes(10), None, bytearray(25))
    with pytest.raises(ValueError, match="at least 10 bytes.*has 9"):
        AESGCM(key).decrypt_into(bytes(12), bytes(26), None, bytearray(9))
    with pytest.raises(TypeError, match="read-only"):
        AESGCM(key).encrypt_into(bytes(12), bytes(10), None, memoryview(bytes(99)))
    with pytest.raises(ValueError, match="at least 31 bytes"):
        Cipher(key, modes.CBC(bytes(16))).encryptor().update_into(bytes(16), bytearray(30))


def test_every_bytes_like_object_is_taken():
    key, nonce, data = LocalAesKey(RAW), bytes(12), b"0123456789"
    expected = aead.AESGCM(RAW).encrypt(nonce, data, b"aad")
    for kind in (bytearray, memoryview, bytes):
        assert AESGCM(key).encrypt(kind(nonce), kind(data), kind(b"aad")) == expected
    buffer = bytearray(40)
    assert AESGCM(key).encrypt_into(nonce, data, b"aad", buffer) == 26
    assert buffer == expected + bytes(14)
    assert AESGCM(key).decrypt_into(nonce, expected, b"aad", buffer) == 10
    assert buffer[:10] == data


@pytest.mark.parametrize(
    "make",
    [
        lambda: modes.CBC(bytes(15)),
        lambda: modes.CTR(bytes(12)),
        lambda: modes.GCM(bytes(12), bytes(17)),
    ],
)
def test_cipher_refuses_the_sizes_cryptography_refuses(key, make):
    mode = make()
    same_error(lambda: Cipher(key, mode), lambda: NativeCipher(algorithms.AES(RAW), mode))


class Unheard(modes.Mode):
    """A mode of a later release."""

    name = "UNHEARD"

    def validate_for_algorithm(self, algorithm):
        pass


@pytest.mark.parametrize("mode", [modes.XTS(bytes(16)), Unheard()])
def test_other_modes_are_refused_naming_those_offered(key, mode):
    with pytest.raises(UnsupportedAlgorithm, match="accepted: CBC, CTR, ECB, GCM"):
        Cipher(key, mode)


def test_something_that_is_no_mode_is_a_type_error(key):
    with pytest.raises(TypeError, match="mode: str"):
        Cipher(key, "GCM")


def test_contexts_are_those_of_cryptography(key):
    gcm = Cipher(key, modes.GCM(bytes(12)))
    assert isinstance(gcm.encryptor(), AEADEncryptionContext)
    assert isinstance(gcm.decryptor(), AEADDecryptionContext)
    for mode in (modes.CTR(bytes(16)), modes.CBC(bytes(16)), modes.ECB()):  # noqa: S305
        for context in (Cipher(key, mode).encryptor(), Cipher(key, mode).decryptor()):
            assert isinstance(context, CipherContext)
            assert not type(context).__abstractmethods__


def test_gcm_contexts_keep_to_the_order_of_their_steps(key):
    with pytest.raises(ValueError, match="must be None when encrypting"):
        Cipher(key, modes.GCM(bytes(12), bytes(16))).encryptor()
    decryptor = Cipher(key, modes.GCM(bytes(12), None, 12)).decryptor()
    with pytest.raises(ValueError, match="must be provided"):
        decryptor.finalize()
    with pytest.raises(ValueError, match="12 bytes or longer; it has 11"):
        decryptor.finalize_with_tag(bytes(11))
    with pytest.raises(ValueError, match="more than 16 bytes; it has 17"):
        decryptor.finalize_with_tag(bytes(17))
    decryptor.update(b"data")
    with pytest.raises(AlreadyUpdated):
        decryptor.authenticate_additional_data(b"late")
    both = Cipher(key, modes.GCM(bytes(12), bytes(16))).decryptor()
    with pytest.raises(ValueError, match="only be provided once"):
        both.finalize_with_tag(bytes(16))
    with pytest.raises(NotYetFinalized):
        _ = Cipher(key, modes.GCM(bytes(12))).encryptor().tag


def test_a_finished_context_does_nothing_more():
    key = LocalAesKey(RAW)
    for mode in (modes.CTR(bytes(16)), modes.CBC(bytes(16)), modes.ECB(), modes.GCM(bytes(12))):  # noqa: S305
        context = Cipher(key, mode).encryptor()
        context.finalize()
        with pytest.raises(AlreadyFinalized):
            context.update(b"more")
        with pytest.raises(AlreadyFinalized):
            context.finalize()
    rejected = Cipher(key, modes.GCM(bytes(12), bytes(16))).decryptor()
    with pytest.raises(InvalidTag):
        rejected.finalize()
    with pytest.raises(AlreadyFinalized):
        rejected.finalize()


def test_incomplete_blocks_are_refused_at_the_end(key):
    for mode in (modes.CBC(bytes(16)), modes.ECB()):  # noqa: S305
        context = Cipher(key, mode).encryptor()
        assert context.update(b"abc") == b""
        with pytest.raises(ValueError, match="not a multiple of the block length: 3 bytes"):
            context.finalize()


def test_only_ctr_takes_a_new_nonce():
    key = LocalAesKey(RAW)
    context = Cipher(key, modes.CTR(bytes(16))).encryptor()
    first = context.update(bytes(20))
    with pytest.raises(ValueError, match="16 bytes long; it has 15"):
        context.reset_nonce(bytes(15))
    context.reset_nonce(bytes(16))
    assert context.update(bytes(20)) == first
    for mode in (modes.CBC(bytes(16)), modes.ECB(), modes.GCM(bytes(12))):  # noqa: S305
        with pytest.raises(UnsupportedAlgorithm):
            Cipher(key, mode).encryptor().reset_nonce(bytes(16))


@pytest.mark.parametrize("size", [0, 8, 15, 17, 2041])
def test_key_wrap_refuses_the_sizes_cryptography_refuses(key, size):
    same_error(symmetric.aes_key_wrap, lambda _, data: keywrap.aes_key_wrap(RAW, data), key, bytes(size))


@pytest.mark.parametrize("size", [0, 16, 23, 25, 2057])
def test_key_unwrap_refuses_the_sizes_cryptography_refuses(key, size):
    same_error(symmetric.aes_key_unwrap, lambda _, data: keywrap.aes_key_unwrap(RAW, data), key, bytes(size))


@pytest.mark.parametrize("size", [0, 8, 15, 17, 2057])
def test_padded_key_unwrap_refuses_sizes_that_nothing_wrapped_has(key, size):
    with pytest.raises(symmetric.InvalidUnwrap, match=f"it has {size}"):
        symmetric.aes_key_unwrap_with_padding(key, bytes(size))


@pytest.mark.parametrize(
    ("operation", "size", "limit"),
    [
        (symmetric.aes_key_wrap, 2056, 2048),
        (symmetric.aes_key_unwrap, 2064, 2056),
        (symmetric.aes_key_wrap_with_padding, 2049, 2048),
        (symmetric.aes_key_unwrap_with_padding, 2064, 2056),
        (symmetric.seal, 2049, 2048),
        (lambda key, data: symmetric.seal(key, data, bytes(16)), 2033, 2032),
    ],
)
def test_more_than_the_device_takes_is_told_with_both_sizes(key, operation, size, limit):
    with pytest.raises(MessageTooLong, match=f"{size} bytes.*at most {limit}") as refused:
        operation(key, bytes(size))
    assert (refused.value.size, refused.value.limit) == (size, limit)


def test_the_largest_inputs_work_in_one_call():
    key = LocalAesKey(RAW)
    assert symmetric.aes_key_unwrap(key, symmetric.aes_key_wrap(key, bytes(2048))) == bytes(2048)
    wrapped = symmetric.aes_key_wrap_with_padding(key, bytes(2048))
    assert symmetric.aes_key_unwrap_with_padding(key, wrapped) == bytes(2048)
    assert symmetric.open(key, symmetric.seal(key, bytes(2048))) == bytes(2048)
    assert symmetric.open(key, symmetric.seal(key, bytes(2032), bytes(16)), bytes(16)) == bytes(2032)
    assert len(key.calls) == 8


def test_nothing_cannot_be_wrapped_or_sealed(key):
    with pytest.raises(ValueError, match="it has 0"):
        symmetric.aes_key_wrap_with_padding(key, b"")
    with pytest.raises(ValueError, match="0 bytes; seal takes 1 to 2048"):
        symmetric.seal(key, b"")


@pytest.mark.parametrize("size", [0, 31, 32, 2081])
def test_what_cannot_be_sealed_data_is_an_invalid_tag_without_a_call(key, size):
    with pytest.raises(InvalidTag, match=f"{size} bytes"):
        symmetric.open(key, bytes(size))


def test_a_cmac_of_another_size_does_not_verify():
    native = cmac.CMAC(algorithms.AES(RAW))
    native.update(b"data")
    expected = native.finalize()
    for given in (expected[:15], b"", expected + b"\0"):
        mac = CMAC(LocalAesKey(RAW))
        mac.update(b"data")
        with pytest.raises(InvalidSignature):
            mac.verify(given)
        with pytest.raises(AlreadyFinalized):
            mac.update(b"")


@pytest.mark.parametrize("make", [AESGCM, CMAC, lambda key: Cipher(key, modes.CTR(bytes(16)))])
def test_raw_bytes_are_no_key_of_a_hem(make):
    with pytest.raises(WrongKeyType, match="key: bytes; accepted: an AES key of a HEM"):
        make(bytes(32))


def test_gcm_ends_where_its_counter_does(monkeypatch):
    assert (gcm_contexts.MAX_DATA, gcm_contexts.MAX_AAD) == (2**36 - 32, 2**61 - 1)
    monkeypatch.setattr(gcm_contexts, "MAX_DATA", 100)
    monkeypatch.setattr(gcm_contexts, "MAX_AAD", 10)
    for context in (
        Cipher(LocalAesKey(RAW), modes.GCM(bytes(12))).encryptor(),
        Cipher(LocalAesKey(RAW), modes.GCM(bytes(12), bytes(16))).decryptor(),
    ):
        context.authenticate_additional_data(bytes(10))
        with pytest.raises(ValueError, match="at most 10 bytes of additional data"):
            context.authenticate_additional_data(b"x")
        context.update(bytes(100))
        with pytest.raises(ValueError, match="at most 100 bytes of data; these would be 101"):
            context.update(b"x")


def test_keystream_fetched_ahead_is_gone_at_the_end():
    ctr = Cipher(LocalAesKey(RAW), modes.CTR(bytes(16))).encryptor()
    gcm = Cipher(LocalAesKey(RAW), modes.GCM(bytes(12))).encryptor()
    kept = []
    for context in (ctr, gcm):
        context.update(b"data")
        keystream = ctr._keystream if context is ctr else gcm._message._keystream
        assert len(keystream._ready) > 2000
        context.finalize()
        kept.append(keystream._ready)
    assert kept == [b"", b""]


def test_a_padded_key_of_no_bytes_is_not_one():
    key = LocalAesKey(RAW)
    for size in (0, 9, 2**32 - 1):
        block = key.ecb_encrypt(bytes.fromhex("a65959a6") + size.to_bytes(4) + bytes(8))
        with pytest.raises(symmetric.InvalidUnwrap):
            symmetric.aes_key_unwrap_with_padding(key, block)


def test_all_256_bits_of_the_digest_of_long_additional_data_count():
    key, aad = LocalAesKey(RAW), b"additional data of more than sixteen bytes"
    digest = hashlib.sha256(aad).digest()
    for half, opens in ((digest[16:], True), (digest[16:31] + b"\0", False)):
        nonce, ciphertext, tag = key.gcm_encrypt(half + b"data", digest[:16])
        sealed = nonce + ciphertext + tag
        if opens:
            assert symmetric.open(key, sealed, aad) == b"data"
        else:
            with pytest.raises(InvalidTag, match="other additional data"):
                symmetric.open(key, sealed, aad)


def test_no_additional_data_are_empty_ones():
    key = LocalAesKey(RAW)
    assert symmetric.open(key, symmetric.seal(key, b"data", None), b"") == b"data"
    assert symmetric.open(key, symmetric.seal(key, b"data", b"")) == b"data"
    with pytest.raises(TypeError, match="aad: str"):
        symmetric.seal(key, b"data", "text")
