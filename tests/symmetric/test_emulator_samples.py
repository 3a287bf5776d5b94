"""A sample of each Wycheproof file with its key planted in the emulated device."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import modes
from support.rawkeys import plant, raw_key
from symmetric.vectors import cases

from hem_provider.symmetric import (
    AESGCM,
    CMAC,
    HMAC,
    Cipher,
    InvalidUnwrap,
    UnmarkedKeyWarning,
    aes_key_unwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap,
    aes_key_wrap_with_padding,
)

#: Every how many cases one is taken, so that each file gives about twenty, valid and invalid.
STEPS = {"aes_gcm": 15, "aes_cbc_pkcs5": 11, "aes_wrap": 8, "aes_kwp": 12, "aes_cmac": 15}
DIGESTS = {
    "hmac_sha256": ("SHA2-256", hashes.SHA256()),
    "hmac_sha384": ("SHA2-384", hashes.SHA384()),
    "hmac_sha512": ("SHA2-512", hashes.SHA512()),
    "hmac_sha3_256": ("SHA3-256", hashes.SHA3_256()),
    "hmac_sha3_384": ("SHA3-384", hashes.SHA3_384()),
    "hmac_sha3_512": ("SHA3-512", hashes.SHA3_512()),
}


def gcm(key, case):
    if case.valid:
        assert AESGCM(key).encrypt(case.iv, case.msg, case.aad) == case.ct + case.tag
        assert AESGCM(key).decrypt(case.iv, case.ct + case.tag, case.aad) == case.msg
    else:
        with pytest.raises(InvalidTag):
            AESGCM(key).decrypt(case.iv, case.ct + case.tag, case.aad)


def cbc(key, case):
    cipher, pkcs7 = Cipher(key, modes.CBC(case.iv)), padding.PKCS7(128)

    def decrypt():
        decryptor, unpadder = cipher.decryptor(), pkcs7.unpadder()
        clear = decryptor.update(case.ct) + decryptor.finalize()
        return unpadder.update(clear) + unpadder.finalize()

    if case.valid:
        encryptor, padder = cipher.encryptor(), pkcs7.padder()
        padded = padder.update(case.msg) + padder.finalize()
        assert encryptor.update(padded) + encryptor.finalize() == case.ct
        assert decrypt() == case.msg
    else:
        with pytest.raises(ValueError, match="padding|multiple of the block"):
            decrypt()


def wrapping(wrap, unwrap):
    def check(key, case):
        if case.valid and not case.acceptable:
            assert wrap(key, case.msg) == case.ct
            assert unwrap(key, case.ct) == case.msg
        else:
            with pytest.raises(InvalidUnwrap):
                unwrap(key, case.ct)

    return check


def mac(key, case):
    running = CMAC(key)
    running.update(case.msg)
    if case.valid:
        running.verify(case.tag)
    else:
        with pytest.raises(InvalidSignature):
            running.verify(case.tag)


CHECKS = {
    "aes_gcm": gcm,
    "aes_cbc_pkcs5": cbc,
    "aes_wrap": wrapping(aes_key_wrap, aes_key_unwrap),
    "aes_kwp": wrapping(aes_key_wrap_with_padding, aes_key_unwrap_with_padding),
    "aes_cmac": mac,
}


@pytest.mark.parametrize("name", STEPS)
def test_a_sample_of_each_file_runs_on_the_emulated_device(hem, rig, name):
    sample = [
        case
        for case in cases(name)[:: STEPS[name]]
        if len(case.key) in (16, 24, 32) and (name != "aes_gcm" or 8 <= len(case.iv) <= 128)
    ]
    assert any(case.valid for case in sample)
    assert any(not case.valid for case in sample)
    for case in sample:
        key = hem.keys.get(plant(rig.device, f"AES{8 * len(case.key)}", case.key))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnmarkedKeyWarning)
            CHECKS[name](key, case)
        hem.keys.refresh()


def test_raw_keys_are_out_of_reach_of_the_package_and_of_every_endpoint(hem, rig):
    """The hook is the tests' own; what the device tells of a symmetric key holds no secret."""
    root = Path(__file__).parents[2]
    sources = [*(root / "hem_provider").rglob("*.py"), *(root / "shim").rglob("*.py")]
    assert len(sources) > 100
    assert [path for path in sources if "rawkeys" in path.read_text()] == []
    key = hem.keys.create("AES256", label="secret")
    material = hem.operations.fetch(key.kid)
    assert (material.public, material.der) == (None, None)
    assert raw_key(rig.device, key.kid) != b""
    with pytest.raises(LookupError):
        raw_key(rig.device, "00" * 16)


@pytest.mark.parametrize("name", DIGESTS)
def test_hmac_cases_with_keys_of_the_device_s_size_run_on_the_emulated_device(hem, rig, name):
    kind, digest = DIGESTS[name]
    size = digest.digest_size
    fitting = [case for case in cases(name) if len(case.key) == size and case.tag_size == size and case.msg]
    valid, invalid = ([case for case in fitting if case.valid is wanted] for wanted in (True, False))
    assert min(len(valid), len(invalid)) >= 20
    for case in valid[::5] + invalid[::5]:
        running = HMAC(hem.keys.get(plant(rig.device, kind, case.key)), digest)
        running.update(case.msg)
        if case.valid:
            assert running.copy().finalize() == case.tag
            running.verify(case.tag)
        else:
            with pytest.raises(InvalidSignature):
                running.verify(case.tag)
