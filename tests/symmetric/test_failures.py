"""A call that fails in the middle: nothing released, nothing half written, how far it got is told,
and where the shape allows, the same step can be repeated."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers import aead, modes
from symmetric.double import LocalAesKey

from hem_provider.errors import HemKeyNotFound, HemTimeout, HemUnreachable
from hem_provider.symmetric import AESGCM, CMAC, Cipher, aes_key_unwrap_with_padding, seal

RAW = bytes(range(32))
DATA = bytes(6000)
NONCE = bytes(12)


def test_gcm_encryption_releases_nothing_and_says_how_far_it_got():
    key = LocalAesKey(RAW, fail_at=2)
    with pytest.raises(HemTimeout, match="AES-GCM stopped after 4064 of 6000 bytes, nothing was released"):
        AESGCM(key).encrypt(NONCE, DATA, None)


def test_gcm_decryption_releases_nothing_and_the_buffer_stays_as_it_was():
    sealed = aead.AESGCM(RAW).encrypt(NONCE, DATA, None)
    key, buffer = LocalAesKey(RAW, fail_at=1), bytearray(b"\xee" * 6000)
    with pytest.raises(HemTimeout, match="stopped after 2016 of 6000 bytes"):
        AESGCM(key).decrypt_into(NONCE, sealed, None, buffer)
    assert buffer == b"\xee" * 6000


def test_the_error_keeps_its_class_and_first_words():
    key = LocalAesKey(RAW, fail_at=0, error=HemUnreachable)
    with pytest.raises(HemUnreachable, match="^no answer in time; AES-GCM stopped after 0 of 6000 bytes"):
        AESGCM(key).encrypt(NONCE, DATA, None)


@pytest.mark.parametrize(
    ("mode", "fail_at", "told"),
    [
        (modes.CTR(bytes(16)), 1, "AES-CTR stopped after 2048 of 6000"),
        (modes.CBC(bytes(16)), 200, "AES-CBC encryption stopped after 3200 of 6000"),
        (modes.ECB(), 2, "AES-ECB encryption stopped after 4096 of 6000"),  # noqa: S305
        (modes.GCM(NONCE), 2, "AES-GCM stopped after 4064 of 6000"),
    ],
)
def test_an_update_that_failed_can_be_repeated(mode, fail_at, told):
    def encrypt(key, data):
        encryptor = Cipher(key, mode).encryptor()
        head = encryptor.update(data[:16])
        if key.fail_at is not None:
            key.fail_at += len(key.calls) if not isinstance(mode, (modes.CTR, modes.GCM)) else 0
            with pytest.raises(HemTimeout):
                encryptor.update(data[16:])
            key.fail_at = None
        return head + encryptor.update(data[16:]) + encryptor.finalize()

    assert encrypt(LocalAesKey(RAW, fail_at=fail_at), DATA) == encrypt(LocalAesKey(RAW), DATA)

    encryptor, buffer = Cipher(LocalAesKey(RAW, fail_at=fail_at), mode).encryptor(), bytearray(b"\xee" * 6100)
    with pytest.raises(HemTimeout, match=told):
        encryptor.update_into(DATA, buffer)
    assert buffer == b"\xee" * 6100


def test_the_end_of_a_streamed_gcm_decryption_can_be_repeated():
    sealed = aead.AESGCM(RAW).encrypt(NONCE, DATA, b"aad")
    key = LocalAesKey(RAW, fail_at=2)
    decryptor = Cipher(key, modes.GCM(NONCE, sealed[-16:])).decryptor()
    decryptor.authenticate_additional_data(b"aad")
    decryptor.update(sealed[:-16])
    with pytest.raises(HemTimeout, match="stopped after 4064 of 6000 bytes"):
        decryptor.finalize()
    key.fail_at = None
    assert decryptor.finalize() == DATA


def test_a_cbc_decryption_that_failed_can_be_repeated():
    encryptor = Cipher(LocalAesKey(RAW), modes.CBC(NONCE + bytes(4))).encryptor()
    ciphertext = encryptor.update(DATA)
    key = LocalAesKey(RAW, fail_at=2)
    decryptor = Cipher(key, modes.CBC(NONCE + bytes(4))).decryptor()
    assert decryptor.update(ciphertext[:2048]) == DATA[:2048]
    with pytest.raises(HemTimeout, match="AES-CBC decryption stopped after 2048 of 3952 bytes"):
        decryptor.update(ciphertext[2048:])
    key.fail_at = None
    assert decryptor.update(ciphertext[2048:]) == DATA[2048:]


def test_a_cmac_update_that_failed_can_be_repeated():
    def mac(key):
        running = CMAC(key)
        running.update(b"head")
        if key.fail_at is not None:
            with pytest.raises(HemTimeout, match="CMAC stopped after 28 of 100 bytes"):
                running.update(bytes(100))
            key.fail_at = None
        running.update(bytes(100))
        return running.finalize()

    assert mac(LocalAesKey(RAW, fail_at=2)) == mac(LocalAesKey(RAW))


def test_a_key_that_is_gone_is_not_taken_for_wrong_data():
    key = LocalAesKey(RAW, fail_at=8, error=HemKeyNotFound)
    with pytest.raises(HemKeyNotFound):
        aes_key_unwrap_with_padding(key, bytes(40))
    assert key.calls[-1][0] == "confirm"


def test_a_failed_seal_is_told_as_it_is():
    with pytest.raises(HemTimeout, match="^no answer in time$"):
        seal(LocalAesKey(RAW, fail_at=0), b"data")
