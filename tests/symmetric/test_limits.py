"""Keys whose maker ruled out a direction or a mode: refused here before anything is sent."""

from __future__ import annotations

import os

import pytest
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import modes

from hem_provider import symmetric
from hem_provider.device.description import Limits

IV = bytes(16)


def made(hem, kind, usage=None, **limits):
    words = {name: frozenset(value) for name, value in limits.items()}
    return hem.keys.create(kind, label=os.urandom(8).hex(), usage=usage, limits=Limits(**words))


def test_one_direction_of_a_mode_family_can_be_denied(hem):
    key = made(hem, "AES256", {"aead"}, denied={"encrypt"})
    before = hem.statistics.calls
    for attempt in (
        lambda: symmetric.AESGCM(key).encrypt(bytes(12), b"data", None),
        lambda: symmetric.Cipher(key, modes.GCM(bytes(12))).encryptor(),
        lambda: symmetric.seal(key, b"data"),
    ):
        with pytest.raises(symmetric.KeyUseDenied, match="denied it 'encrypt'"):
            attempt()
    assert hem.statistics.calls == before
    with pytest.raises(InvalidTag):
        symmetric.AESGCM(key).decrypt(bytes(12), bytes(32), None)


def test_wrapping_can_be_denied_and_unwrapping_left(hem):
    key = made(hem, "AES256", {"wrap"}, denied={"wrap"})
    with pytest.raises(symmetric.KeyUseDenied):
        symmetric.aes_key_wrap(key, bytes(16))
    with pytest.raises(symmetric.InvalidUnwrap):
        symmetric.aes_key_unwrap(key, bytes(24))


def test_a_key_can_be_kept_to_one_mode_of_its_family(hem):
    key = made(hem, "AES256", {"cipher"}, mechanisms={"ctr"})
    encryptor = symmetric.Cipher(key, modes.CTR(IV)).encryptor()
    assert len(encryptor.update(b"data") + encryptor.finalize()) == 4
    for mode in (modes.CBC(IV), modes.ECB()):  # noqa: S305 - refused
        with pytest.raises(symmetric.KeyUseDenied, match="kept it to ctr"):
            symmetric.Cipher(key, mode).decryptor()


def test_signing_can_be_kept_to_a_hash_or_denied(hem):
    key = made(hem, "SECP256R1", mechanisms={"ecdsa-sha256"})
    private = key.private_key()
    assert private.sign(b"data", ec.ECDSA(hashes.SHA256()))
    peer = ec.generate_private_key(ec.SECP256R1()).public_key()
    for attempt in (
        lambda: private.sign(b"data", ec.ECDSA(hashes.SHA384())),
        lambda: private.exchange(ec.ECDH(), peer),
    ):
        with pytest.raises(UnsupportedAlgorithm, match="kept it to ecdsa-sha256"):
            attempt()
    with pytest.raises(UnsupportedAlgorithm, match="denied it 'sign'"):
        made(hem, "SECP256R1", denied={"sign"}).private_key().sign(b"data", ec.ECDSA(hashes.SHA256()))


def test_decapsulation_can_be_denied(hem):
    key = made(hem, "MLKEM768", denied={"decapsulate"})
    with pytest.raises(UnsupportedAlgorithm, match="denied it 'decapsulate'"):
        key.private_key().decapsulate(bytes(1088))


@pytest.mark.parametrize(
    ("kind", "limits"),
    [
        ("SECP256R1", {"denied": {"encrypt"}}),
        ("AES256", {"mechanisms": {"hmac"}}),
        ("ED25519", {"mechanisms": {"ecdsa-sha256"}}),
        ("SHA2-256", {"denied": {"wrap"}}),
    ],
)
def test_limits_that_mean_nothing_to_a_type_are_refused_before_any_call(hem, kind, limits):
    before = hem.statistics.calls
    with pytest.raises(ValueError, match="limits: .* accepted: "):
        made(hem, kind, **limits)
    assert hem.statistics.calls == before


def test_limits_are_limits(hem):
    with pytest.raises(TypeError, match="limits: set; accepted: Limits"):
        hem.keys.create("AES256", label="k", limits={"encrypt"})


def test_limits_are_kept_with_the_key_and_survive_a_new_name(hem):
    key = made(hem, "AES256", {"cipher"}, denied={"encrypt", "destroy"}, mechanisms={"cbc"})
    hem.keys.update(key, label="other", application_id=bytes(40))
    hem.keys.refresh()
    seen = hem.keys.get(key.kid)
    assert seen.limits == Limits(frozenset({"encrypt", "destroy"}), frozenset({"cbc"}))
    assert seen.family_mark == {"cipher"}
    assert seen.application_id == bytes(40)
    hem.keys.delete(seen)
