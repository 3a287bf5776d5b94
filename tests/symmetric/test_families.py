"""A key is used for what it was created for, and for nothing else."""

from __future__ import annotations

import warnings

import pytest
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import modes
from support.rawkeys import plant

from hem_provider.errors import HemError, HemKeyNotFound
from hem_provider.symmetric import (
    AESGCM,
    CMAC,
    HMAC,
    Cipher,
    InvalidUnwrap,
    UnmarkedKeyWarning,
    WrongKeyFamily,
    WrongKeyType,
    aes_key_unwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap,
    aes_key_wrap_with_padding,
    open,
    seal,
)

OPERATIONS = {
    "AESGCM": ("aead", lambda key: AESGCM(key).encrypt(bytes(12), b"data", None)),
    "GCM": ("aead", lambda key: Cipher(key, modes.GCM(bytes(12))).encryptor().finalize()),
    "seal": ("aead", lambda key: seal(key, b"data")),
    "open": ("aead", lambda key: open(key, bytes(40))),
    "CTR": ("cipher", lambda key: Cipher(key, modes.CTR(bytes(16))).encryptor().update(b"data")),
    "CBC": ("cipher", lambda key: Cipher(key, modes.CBC(bytes(16))).encryptor().update(bytes(16))),
    "ECB": ("cipher", lambda key: Cipher(key, modes.ECB()).encryptor().update(bytes(16))),  # noqa: S305
    "wrap": ("wrap", lambda key: aes_key_wrap(key, bytes(16))),
    "unwrap": ("wrap", lambda key: aes_key_unwrap(key, bytes(24))),
    "wrap with padding": ("wrap", lambda key: aes_key_wrap_with_padding(key, b"data")),
    "unwrap with padding": ("wrap", lambda key: aes_key_unwrap_with_padding(key, bytes(16))),
    "CMAC": ("mac", lambda key: CMAC(key).finalize()),
}
FAMILIES = ("aead", "cipher", "wrap", "mac")


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_key_of_another_family_is_refused_without_a_call(hem, name):
    family, operation = OPERATIONS[name]
    for other in FAMILIES:
        if other == family:
            continue
        key = hem.keys.create("AES128", label="kept apart", usage={other})
        before = hem.statistics.calls
        with pytest.raises(
            WrongKeyFamily, match=f"{key.kid}.*'kept apart'.*'{other}'.*'{family}'"
        ) as refused:
            operation(key)
        assert hem.statistics.calls == before
        assert isinstance(refused.value, HemError)
        assert isinstance(refused.value, ValueError)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_key_without_a_family_works_with_one_warning(hem, rig, name):
    key = hem.keys.get(plant(rig.device, "AES256", bytes(range(32)), label="foreign"))
    _, operation = OPERATIONS[name]
    with pytest.warns(UnmarkedKeyWarning, match=f"{key.kid}.*'foreign'.*no mode family") as caught:
        result_of(operation, key)
    assert len(caught) == 1
    with warnings.catch_warnings(record=True) as again:
        warnings.simplefilter("always")
        result_of(operation, key)
    assert again == []


def result_of(operation, key):
    """Run; the made-up inputs of ``open`` and unwrap are rejected as data, which is beside the point."""
    try:
        return operation(key)
    except (InvalidTag, InvalidUnwrap):
        return None


def test_a_key_may_be_kept_to_several_families_when_its_maker_says_so(hem):
    key = hem.keys.create("AES256", label="two", usage={"aead", "wrap"})
    seal(key, b"data")
    aes_key_wrap(key, bytes(16))
    with pytest.raises(WrongKeyFamily):
        CMAC(key)


def test_an_aes_key_is_made_for_aead_unless_told_otherwise(hem):
    key = hem.keys.create("AES256", label="default")
    seal(key, b"data")
    with pytest.raises(WrongKeyFamily):
        aes_key_wrap(key, bytes(16))


def test_the_family_is_known_to_another_process(hem, rig):
    kid = hem.keys.create("AES256", label="web", usage={"mac"}).kid
    with rig.connect() as other:
        with pytest.raises(WrongKeyFamily):
            AESGCM(other.keys.find(label="web"))
    with rig.connect() as other:  # by KID alone: the family is looked up before the key is used
        with pytest.raises(WrongKeyFamily):
            AESGCM(other.keys.get(kid))


@pytest.mark.parametrize("name", OPERATIONS)
def test_other_kinds_of_keys_are_refused_without_a_call(hem, name):
    _, operation = OPERATIONS[name]
    for kind in ("SECP256R1", "SHA2-256", "ED25519"):
        key = hem.keys.create(kind, label="other kind")
        before = hem.statistics.calls
        with pytest.raises(
            WrongKeyType, match=f"{key.kid} is {kind}; accepted: AES128, AES192 or AES256"
        ) as refused:
            operation(key)
        assert isinstance(refused.value, TypeError)
        assert hem.statistics.calls == before


def test_hmac_wants_an_hmac_key_and_its_own_digest(hem):
    aes = hem.keys.create("AES256", label="aes", usage={"mac"})
    with pytest.raises(WrongKeyType, match="AES256; accepted: an HMAC key"):
        HMAC(aes, hashes.SHA256())
    key = hem.keys.create("SHA3-256", label="mac")
    before = hem.statistics.calls
    for digest in (hashes.SHA256(), hashes.SHA3_512(), hashes.SHA1(), hashes.BLAKE2b(64)):  # noqa: S303
        with pytest.raises(UnsupportedAlgorithm, match=digest.name):
            HMAC(key, digest)
    with pytest.raises(TypeError):
        HMAC(key, "sha3-256")
    with pytest.raises(WrongKeyType, match="bytes; accepted: an HMAC key"):
        HMAC(bytes(32), hashes.SHA256())
    assert hem.statistics.calls == before


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "GCM"])
def test_a_key_deleted_meanwhile_is_reported_as_such(hem, rig, name):
    family, operation = OPERATIONS[name]
    key = hem.keys.create("AES256", label="gone", usage={family})
    with rig.connect() as other:
        other.keys.delete(key.kid)
    with pytest.raises(HemKeyNotFound, match=key.kid):
        operation(key)


def test_an_hmac_key_deleted_meanwhile_is_no_invalid_signature(hem, rig):
    key = hem.keys.create("SHA2-256", label="gone")
    with rig.connect() as other:
        other.keys.delete(key.kid)
    mac = HMAC(key, hashes.SHA256())
    mac.update(b"data")
    with pytest.raises(HemKeyNotFound, match=key.kid):
        mac.copy().verify(bytes(32))
    with pytest.raises(HemKeyNotFound, match=key.kid):
        mac.finalize()


def test_the_warning_points_at_the_line_that_uses_the_key(hem, rig):
    for operation in (AESGCM, CMAC, lambda key: seal(key, b"data")):
        kid = plant(rig.device, "AES256", bytes(32))
        hem.keys.refresh()
        key = hem.keys.get(kid)
        with pytest.warns(UnmarkedKeyWarning) as caught:
            operation(key)
        assert caught[0].filename == __file__
