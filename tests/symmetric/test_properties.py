"""For any sizes and any cuts: what ``cryptography`` gives with the same raw key, in the promised
number of calls."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import cmac, keywrap
from cryptography.hazmat.primitives.ciphers import Cipher as NativeCipher
from cryptography.hazmat.primitives.ciphers import aead, algorithms, modes
from hypothesis import example, given
from hypothesis import strategies as st
from symmetric.double import LocalAesKey

from hem_provider.symmetric import (
    AESGCM,
    CMAC,
    Cipher,
    aes_key_unwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap,
    aes_key_wrap_with_padding,
    open,
    seal,
)

raw_keys = st.sampled_from([16, 24, 32]).flatmap(lambda size: st.binary(min_size=size, max_size=size))
blocks16 = st.binary(min_size=16, max_size=16)
#: Sizes around every limit of a call, and others.
sizes = st.sampled_from([0, 1, 15, 16, 17, 2015, 2016, 2017, 2031, 2032, 2033, 2048, 2049, 4064, 4065, 6000])
nonces = st.one_of(st.binary(min_size=12, max_size=12), st.binary(min_size=8, max_size=128))


def made(size: int) -> bytes:
    return bytes(number * 7 % 251 for number in range(size))


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    """``data`` in pieces that end at ``cuts``."""
    places = sorted({min(each, len(data)) for each in cuts})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def in_pieces(context, data, cuts) -> bytes:
    return b"".join(context.update(piece) for piece in cut(data, cuts)) + context.finalize()


cuts = st.lists(st.integers(0, 6000), max_size=6)


@given(raw_keys, nonces, sizes, st.binary(max_size=70))
def test_gcm_is_that_of_cryptography_in_the_promised_calls(raw, nonce, size, aad):
    data, key = made(size), LocalAesKey(raw)
    sealed = AESGCM(key).encrypt(nonce, data, aad)
    assert sealed == aead.AESGCM(raw).encrypt(nonce, data, aad)
    standard = len(nonce) == 12
    blocks = -(-size // 16)
    expected = -(-(blocks + 2) // 128) if standard else 1 + -(-(blocks + 1) // 128)
    assert len(key.calls) == expected
    key.calls.clear()
    assert AESGCM(key).decrypt(nonce, sealed, aad) == data
    assert len(key.calls) == expected


@pytest.mark.parametrize(
    ("nonce", "size", "calls"),
    [
        (12, 0, 1),
        (12, 2016, 1),
        (12, 2017, 2),
        (12, 4064, 2),
        (16, 0, 2),
        (16, 2016, 2),
        (16, 2032, 2),
        (8, 2033, 3),
    ],
)
def test_gcm_calls_as_the_documentation_states_them(nonce, size, calls):
    key = LocalAesKey(bytes(32))
    AESGCM(key).encrypt(bytes(nonce), made(size), None)
    assert [name for name, _ in key.calls] == ["ecb_encrypt"] * calls


@given(raw_keys, nonces, sizes, st.binary(max_size=40), cuts, st.integers(4, 16))
def test_gcm_in_pieces_is_the_same_and_costs_the_same(raw, nonce, size, aad, places, tag_size):
    data, key = made(size), LocalAesKey(raw)
    encryptor = Cipher(key, modes.GCM(nonce)).encryptor()
    for piece in cut(aad, places):
        encryptor.authenticate_additional_data(piece)
    ciphertext = in_pieces(encryptor, data, places)
    assert ciphertext + encryptor.tag == aead.AESGCM(raw).encrypt(nonce, data, aad)
    whole = LocalAesKey(raw)
    AESGCM(whole).encrypt(nonce, data, aad)
    assert len(key.calls) == len(whole.calls)

    tag = encryptor.tag[:tag_size]
    decryptor = Cipher(key, modes.GCM(nonce, None, tag_size)).decryptor()
    decryptor.authenticate_additional_data(aad)
    released = [decryptor.update(piece) for piece in cut(ciphertext, places)]
    assert released == [b""] * len(released)
    assert decryptor.finalize_with_tag(tag) == data


@given(raw_keys, st.sampled_from([0, 1, 100, 5000]), st.integers(0, 10**6), st.integers(0, 7))
def test_gcm_rejects_any_changed_bit_and_decrypts_nothing(raw, size, place, bit):
    nonce, aad = bytes(12), b"header"
    sealed = bytearray(aead.AESGCM(raw).encrypt(nonce, made(size), aad))
    sealed[place % len(sealed)] ^= 1 << bit
    key = LocalAesKey(raw)
    with pytest.raises(InvalidTag):
        AESGCM(key).decrypt(nonce, sealed, aad)
    assert len(key.calls) == 1  # subkey, mask and the first keystream: nothing more is fetched


@given(raw_keys, blocks16, sizes, cuts)
@example(bytes(16), b"\xff" * 16, 4065, [])
@example(bytes(16), b"\xff" * 15 + b"\xf0", 4065, [33])
def test_ctr_in_any_pieces_is_that_of_cryptography_at_one_call_per_2_kib(raw, counter, size, places):
    data, key = made(size), LocalAesKey(raw)
    native = NativeCipher(algorithms.AES(raw), modes.CTR(counter)).encryptor()
    expected = native.update(data) + native.finalize()
    assert in_pieces(Cipher(key, modes.CTR(counter)).encryptor(), data, places) == expected
    assert len(key.calls) == -(-size // 2048)
    assert in_pieces(Cipher(key, modes.CTR(counter)).decryptor(), expected, places) == data


@given(raw_keys, blocks16, sizes, cuts)
def test_cbc_in_any_pieces_is_that_of_cryptography(raw, iv, size, places):
    data, key = made(size - size % 16), LocalAesKey(raw)
    native = NativeCipher(algorithms.AES(raw), modes.CBC(iv)).encryptor()
    expected = native.update(data) + native.finalize()
    assert in_pieces(Cipher(key, modes.CBC(iv)).encryptor(), data, places) == expected
    assert len(key.calls) == len(data) // 16
    key.calls.clear()
    assert in_pieces(Cipher(key, modes.CBC(iv)).decryptor(), expected, places) == data
    if not places:
        assert len(key.calls) == -(-len(data) // 2048)


@given(raw_keys, sizes, cuts)
def test_ecb_in_any_pieces_is_that_of_cryptography(raw, size, places):
    data, key = made(size - size % 16), LocalAesKey(raw)
    mode = modes.ECB()  # noqa: S305
    native = NativeCipher(algorithms.AES(raw), mode).encryptor()
    expected = native.update(data) + native.finalize()
    assert in_pieces(Cipher(key, mode).encryptor(), data, places) == expected
    assert in_pieces(Cipher(key, mode).decryptor(), expected, places) == data


@given(raw_keys, st.integers(0, 100), st.lists(st.integers(0, 100), max_size=5))
def test_cmac_in_any_pieces_is_that_of_cryptography_at_one_call_per_block(raw, size, places):
    data, key = made(size), LocalAesKey(raw)
    native = cmac.CMAC(algorithms.AES(raw))
    native.update(data)
    mac = CMAC(key)
    for piece in cut(data, places):
        mac.update(piece)
    assert mac.finalize() == native.finalize()
    assert len(key.calls) == max(2, -(-size // 16))


@given(raw_keys, st.integers(2, 12))
def test_key_wrap_is_that_of_cryptography_in_one_call(raw, halves):
    data, key = made(8 * halves), LocalAesKey(raw)
    wrapped = aes_key_wrap(key, data)
    assert wrapped == keywrap.aes_key_wrap(raw, data)
    assert aes_key_unwrap(key, wrapped) == data
    assert [name for name, _ in key.calls] == ["wrap", "unwrap"]


@given(raw_keys, st.integers(1, 70))
def test_padded_key_wrap_is_that_of_cryptography_and_costs_a_call_per_byte_of_padding(raw, size):
    data, key = made(size), LocalAesKey(raw)
    wrapped = aes_key_wrap_with_padding(key, data)
    assert wrapped == keywrap.aes_key_wrap_with_padding(raw, data)
    assert len(key.calls) == 1
    key.calls.clear()
    assert aes_key_unwrap_with_padding(key, wrapped) == data
    assert len(key.calls) == (1 if size <= 8 else 1 + -size % 8)


@given(raw_keys, st.integers(16, 80), st.integers(0, 10**6), st.integers(0, 7))
def test_padded_key_unwrap_rejects_any_changed_bit(raw, size, place, bit):
    wrapped = bytearray(keywrap.aes_key_wrap_with_padding(raw, made(size)))
    wrapped[place % len(wrapped)] ^= 1 << bit
    key = LocalAesKey(raw)
    with pytest.raises(keywrap.InvalidUnwrap):
        aes_key_unwrap_with_padding(key, wrapped)
    assert [name for name, _ in key.calls] == ["unwrap"] * 8 + ["confirm"]


@given(raw_keys, st.sampled_from([1, 16, 2031, 2032]), st.sampled_from([0, 1, 15, 16, 17, 32, 5000]))
def test_sealed_data_open_with_the_same_additional_data_and_no_other(raw, size, aad_size):
    key, data, aad = LocalAesKey(raw), made(size), made(aad_size)
    sealed = seal(key, data, aad)
    assert len(sealed) == size + 32 + (16 if aad_size > 15 else 0)
    assert open(key, sealed, aad) == data
    assert [name for name, _ in key.calls] == ["gcm_encrypt", "gcm_decrypt"]
    for other in (aad + b"\0", aad[:-1] if aad else b"x", b"\1" + aad):
        with pytest.raises(InvalidTag):
            open(key, sealed, other)


@given(raw_keys, st.integers(0, 10**6), st.integers(0, 7), st.sampled_from([b"", made(100)]))
def test_a_changed_or_cut_seal_does_not_open(raw, place, bit, aad):
    key = LocalAesKey(raw)
    sealed = bytearray(seal(key, b"data", aad))
    with pytest.raises(InvalidTag):
        open(key, sealed[: place % len(sealed)], aad)
    sealed[place % len(sealed)] ^= 1 << bit
    with pytest.raises(InvalidTag):
        open(key, sealed, aad)


@given(raw_keys, st.integers(0, 10**6))
def test_nothing_cut_short_is_accepted(raw, place):
    key, nonce = LocalAesKey(raw), bytes(12)
    sealed = aead.AESGCM(raw).encrypt(nonce, made(40), b"aad")
    with pytest.raises(InvalidTag):
        AESGCM(key).decrypt(nonce, sealed[: place % len(sealed)], b"aad")
    with pytest.raises(InvalidTag):
        AESGCM(key).decrypt(nonce, sealed, b"aad"[: place % 3])
    wrapped = keywrap.aes_key_wrap(raw, made(40))
    with pytest.raises(keywrap.InvalidUnwrap):
        aes_key_unwrap(key, wrapped[: place % len(wrapped)])
    wrapped = keywrap.aes_key_wrap_with_padding(raw, made(37))
    with pytest.raises(keywrap.InvalidUnwrap):
        aes_key_unwrap_with_padding(key, wrapped[: place % len(wrapped)])
