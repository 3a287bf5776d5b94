"""Every Wycheproof case, valid and invalid, through the code that runs over the device.

One test per file: each case is checked, and the table of the documentation is held to the counts.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import modes
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap
from symmetric.double import LocalAesKey
from symmetric.vectors import Case, cases

from hem_provider.symmetric import (
    AESGCM,
    CMAC,
    Cipher,
    aes_key_unwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap,
    aes_key_wrap_with_padding,
)
from hem_provider.symmetric.gcm import GcmMessage

DOCUMENT = Path(__file__).parents[2] / "docs" / "symmetric.md"


def outcome(rejected, operation, *arguments):
    """The result, or ``None`` for the error that means rejected."""
    try:
        return operation(*arguments)
    except rejected:
        return None


def cbc_decrypted(cipher, ciphertext):
    decryptor, unpadder = cipher.decryptor(), padding.PKCS7(128).unpadder()
    clear = decryptor.update(ciphertext) + decryptor.finalize()
    return unpadder.update(clear) + unpadder.finalize()


def core_gcm(case: Case) -> tuple[bytes, bytes]:
    """Ciphertext and tag by the core, which takes nonces of any length."""
    message = GcmMessage(LocalAesKey(case.key), case.iv, len(case.msg))
    message.authenticate(case.aad)
    ciphertext = message.crypt(case.msg)
    message.absorb(ciphertext)
    return ciphertext, message.tag()


def gcm_streamed(case: Case) -> bytes | None:
    decryptor = Cipher(LocalAesKey(case.key), modes.GCM(case.iv, case.tag)).decryptor()
    decryptor.authenticate_additional_data(case.aad)
    for start in range(0, len(case.ct), 7):
        assert decryptor.update(case.ct[start : start + 7]) == b""
    return outcome(InvalidTag, decryptor.finalize)


def test_aes_gcm_gives_every_published_result():
    for case in cases("aes_gcm"):
        if not 8 <= len(case.iv) <= 128:  # the range of cryptography's AESGCM
            with pytest.raises(ValueError, match="between 8 and 128 bytes"):
                AESGCM(LocalAesKey(case.key)).decrypt(case.iv, case.ct + case.tag, case.aad)
            if case.valid:
                assert core_gcm(case) == (case.ct, case.tag), case
            else:
                assert case.iv == b"", case
            continue
        aead = AESGCM(LocalAesKey(case.key))
        sealed = case.ct + case.tag
        opened = outcome(InvalidTag, aead.decrypt, case.iv, sealed, case.aad)
        assert opened == (case.msg if case.valid else None), case
        assert gcm_streamed(case) == opened, case
        if case.valid:
            assert aead.encrypt(case.iv, case.msg, case.aad) == sealed, case


def test_aes_cbc_with_pkcs7_gives_every_published_result():
    for case in cases("aes_cbc_pkcs5"):
        cipher = Cipher(LocalAesKey(case.key), modes.CBC(case.iv))
        assert outcome(ValueError, cbc_decrypted, cipher, case.ct) == (case.msg if case.valid else None), case
        if case.valid:
            padder, encryptor = padding.PKCS7(128).padder(), cipher.encryptor()
            padded = padder.update(case.msg) + padder.finalize()
            assert encryptor.update(padded) + encryptor.finalize() == case.ct, case


def test_aes_key_wrap_gives_every_published_result():
    for case in cases("aes_wrap"):
        key = LocalAesKey(case.key)
        opened = outcome(InvalidUnwrap, aes_key_unwrap, key, case.ct)
        if case.acceptable:  # 8 bytes: RFC 3394 asks for 16 at least, and so do cryptography and the device
            assert len(case.msg) == 8
            assert opened is None, case
            with pytest.raises(ValueError, match="at least 16 bytes"):
                aes_key_wrap(key, case.msg)
            continue
        assert opened == (case.msg if case.valid else None), case
        if case.valid:
            assert aes_key_wrap(key, case.msg) == case.ct, case
        elif not case.ct:  # the invalid part is the size of the input
            with pytest.raises(ValueError, match="key to wrap must be"):
                aes_key_wrap(key, case.msg)


def test_aes_key_wrap_with_padding_gives_every_published_result():
    for case in cases("aes_kwp"):
        key = LocalAesKey(case.key)
        opened = outcome(InvalidUnwrap, aes_key_unwrap_with_padding, key, case.ct)
        assert opened == (case.msg if case.valid else None), case
        if case.valid:
            assert aes_key_wrap_with_padding(key, case.msg) == case.ct, case


def test_cmac_gives_every_published_result():
    for case in cases("aes_cmac"):
        if len(case.key) not in (16, 24, 32):
            assert not case.valid, case
            continue  # no device has an AES key of such a width; cryptography refuses it too
        mac = CMAC(LocalAesKey(case.key))
        mac.update(case.msg)
        twin = mac.copy()
        if not case.valid:
            with pytest.raises(InvalidSignature):
                mac.verify(case.tag)
            continue
        mac.verify(case.tag)
        assert twin.finalize() == case.tag, case


@pytest.mark.parametrize("name", ["aes_gcm", "aes_cbc_pkcs5", "aes_wrap", "aes_kwp", "aes_cmac"])
def test_the_documentation_states_the_number_of_cases(name):
    found = cases(name)
    row = re.search(rf"\| `{name}_test` \| (\d+) \| (\d+) \|", DOCUMENT.read_text())
    assert row, f"no row for {name}_test"
    valid = sum(case.valid for case in found)
    assert (int(row[1]), int(row[2])) == (valid, len(found) - valid)
