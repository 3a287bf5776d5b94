"""Each operation on an emulated device: interoperable with ``cryptography`` under the same raw key,
and in as many device calls as its docstring and the documentation's table say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import cmac, hashes, hmac, keywrap
from cryptography.hazmat.primitives.ciphers import Cipher as NativeCipher
from cryptography.hazmat.primitives.ciphers import aead, algorithms, modes
from support.rawkeys import raw_key

from hem_provider.symmetric import (
    AESGCM,
    CMAC,
    HMAC,
    Cipher,
    InvalidUnwrap,
    aes_key_unwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap,
    aes_key_wrap_with_padding,
    open,
    seal,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "symmetric.md"
WIDTHS = (128, 192, 256)
N12, N16, IV = bytes(range(12)), bytes(range(16)), bytes(range(16))


def sample(size: int) -> bytes:
    return bytes(number % 253 for number in range(size))


@pytest.fixture(params=WIDTHS)
def made(request, hem, rig):
    """Make a key of a family; with its raw bytes."""

    def make(family):
        key = hem.keys.create(f"AES{request.param}", label=f"{family} key", usage={family})
        return key, raw_key(rig.device, key.kid)

    return make


@pytest.mark.parametrize(
    ("nonce", "size", "expected"),
    [
        (N12, 0, 1),
        (N12, 1, 1),
        (N12, 2016, 1),
        (N12, 2017, 2),
        (N12, 5000, 3),
        (N16, 2032, 2),
        (N16, 2033, 3),
    ],
)
def test_gcm(made, calls, nonce, size, expected):
    key, raw = made("aead")
    data = sample(size)
    sealed, count = calls(key, AESGCM(key).encrypt, nonce, data, b"aad" * 50)
    assert sealed == aead.AESGCM(raw).encrypt(nonce, data, b"aad" * 50)
    assert count == expected
    assert calls(key, AESGCM(key).decrypt, nonce, sealed, b"aad" * 50) == (data, expected)
    with pytest.raises(InvalidTag):
        AESGCM(key).decrypt(nonce, sealed, b"other")


@pytest.mark.parametrize(
    ("mode", "size", "encrypting", "decrypting"),
    [
        (modes.CTR(b"\xff" * 16), 4097, 3, 3),
        (modes.ECB(), 4096, 2, 2),  # noqa: S305
        (modes.CBC(IV), 160, 10, 1),
        (modes.GCM(N12), 2017, 2, 2),
    ],
)
def test_cipher_modes(made, calls, mode, size, encrypting, decrypting):
    key, raw = made("aead" if isinstance(mode, modes.GCM) else "cipher")
    data = sample(size)

    def run(context):
        return context.update(data) + context.finalize()

    encryptor = Cipher(key, mode).encryptor()
    data, count = calls(key, run, encryptor)
    assert count == encrypting
    tagged = modes.GCM(N12, encryptor.tag) if isinstance(mode, modes.GCM) else mode
    native = NativeCipher(algorithms.AES(raw), tagged).decryptor()
    assert native.update(data) + native.finalize() == sample(size)
    assert calls(key, run, Cipher(key, tagged).decryptor()) == (sample(size), decrypting)


def test_cbc_decryption_costs_one_call_per_2_kib(made, calls):
    key, raw = made("cipher")
    native = NativeCipher(algorithms.AES(raw), modes.CBC(IV)).encryptor()
    ciphertext = native.update(sample(6144)) + native.finalize()
    assert calls(key, Cipher(key, modes.CBC(IV)).decryptor().update, ciphertext) == (sample(6144), 3)


def test_cmac(made, calls):
    key, raw = made("mac")

    def mac(size):
        running = CMAC(key)
        running.update(sample(size))
        return running.finalize()

    for size, expected in ((0, 2), (16, 2), (17, 2), (33, 3)):
        native = cmac.CMAC(algorithms.AES(raw))
        native.update(sample(size))
        assert calls(key, mac, size) == (native.finalize(), expected)


def test_key_wrap(made, calls):
    key, raw = made("wrap")
    wrapped, count = calls(key, aes_key_wrap, key, sample(32))
    assert (wrapped, count) == (keywrap.aes_key_wrap(raw, sample(32)), 1)
    assert calls(key, aes_key_unwrap, key, wrapped) == (sample(32), 1)
    assert calls(key, lambda: aes_key_unwrap(key, aes_key_wrap(key, sample(2048)))) == (sample(2048), 2)


@pytest.mark.parametrize(
    ("size", "unwrapping"), [(1, 1), (8, 1), (9, 8), (15, 2), (16, 1), (20, 5), (2048, 1)]
)
def test_padded_key_wrap(made, calls, size, unwrapping):
    key, raw = made("wrap")
    wrapped, count = calls(key, aes_key_wrap_with_padding, key, sample(size))
    assert (wrapped, count) == (keywrap.aes_key_wrap_with_padding(raw, sample(size)), 1)
    assert calls(key, aes_key_unwrap_with_padding, key, wrapped) == (sample(size), unwrapping)


def test_rejected_wrapped_keys_cost_the_check_of_the_key_besides(made, calls):
    key, _ = made("wrap")

    def rejected(operation, wrapped):
        with pytest.raises(InvalidUnwrap, match=f"key {key.kid}"):
            operation(key, wrapped)

    assert calls(key, rejected, aes_key_unwrap, bytes(40))[1] == 2
    assert calls(key, rejected, aes_key_unwrap_with_padding, bytes(40))[1] == 9
    assert calls(key, rejected, aes_key_unwrap_with_padding, bytes(16))[1] == 1


@pytest.mark.parametrize("aad", [b"", bytes(15), bytes(16), bytes(5000)])
def test_seal_and_open(made, calls, aad):
    key, raw = made("aead")
    largest = 2048 if len(aad) < 16 else 2032
    for size in (1, largest):
        sealed, count = calls(key, seal, key, sample(size), aad)
        assert count == 1
        assert calls(key, open, key, sealed, aad) == (sample(size), 1)
        assert elsewhere(raw, sealed, aad) == sample(size)

    def rejected():
        with pytest.raises(InvalidTag):
            open(key, sealed, aad + b"x")

    assert calls(key, rejected)[1] == 2


def elsewhere(raw: bytes, sealed: bytes, aad: bytes) -> bytes:
    """Opening by the documentation alone, with ``cryptography``."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(aad)
    bound = digest.finalize()
    if len(aad) <= 15:
        return aead.AESGCM(raw).decrypt(sealed[:16], sealed[16:], aad)
    clear = aead.AESGCM(raw).decrypt(sealed[:16], sealed[16:], bound[:16])
    assert clear[:16] == bound[16:]
    return clear[16:]


DIGESTS = {
    "SHA2-256": hashes.SHA256(),
    "SHA2-384": hashes.SHA384(),
    "SHA2-512": hashes.SHA512(),
    "SHA3-256": hashes.SHA3_256(),
    "SHA3-384": hashes.SHA3_384(),
    "SHA3-512": hashes.SHA3_512(),
}


@pytest.mark.parametrize("name", DIGESTS)
def test_hmac(hem, rig, calls, name):
    key = hem.keys.create(name, label="mac")
    native = hmac.HMAC(raw_key(rig.device, key.kid), DIGESTS[name])
    native.update(sample(2048))

    def running():
        mac = HMAC(key, DIGESTS[name])
        mac.update(sample(1000))
        twin = mac.copy()
        mac.update(b"another end")
        twin.update(sample(2048)[1000:])
        return twin

    expected, count = calls(key, lambda: running().finalize())
    assert (expected, count) == (native.finalize(), 1)
    assert calls(key, lambda: running().verify(expected)) == (None, 1)

    def rejected(signature):
        with pytest.raises(InvalidSignature):
            running().verify(signature)

    assert calls(key, rejected, expected[:-1] + bytes([expected[-1] ^ 1]))[1] == 2
    assert calls(key, rejected, expected[:-1])[1] == 0


def test_the_first_operation_costs_one_login_and_no_listing(hem):
    key = hem.keys.create("AES256", label="fresh", usage={"aead"})
    before = hem.statistics.calls, hem.statistics.logins
    seal(key, b"data")
    assert (hem.statistics.calls - before[0], hem.statistics.logins - before[1]) == (3, 1)
    seal(key, b"data")
    assert (hem.statistics.calls - before[0], hem.statistics.logins - before[1]) == (4, 1)


def test_every_operation_has_a_row_in_the_table_of_calls():
    text = DOCUMENT.read_text()
    for name in ("AESGCM", "CTR", "CBC", "ECB", "CMAC", "HMAC", "seal", "open", "aes_key_wrap",
                 "aes_key_unwrap", "aes_key_wrap_with_padding", "aes_key_unwrap_with_padding"):  # fmt: skip
        assert re.search(rf"^\| .*`{name}\b.*\|.*call", text, re.MULTILINE), name
