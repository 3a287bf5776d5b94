"""What refers to a key of a device is copied as the reference that it is, and says what it is."""

from __future__ import annotations

import copy

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import modes

from hem_provider.symmetric import AESGCM, CMAC, HMAC, Agreement, Cipher


@pytest.fixture
def made(hem):
    keys = {
        family: hem.keys.create("AES256", label=family, usage={family})
        for family in ("aead", "cipher", "mac")
    }
    hmac = hem.keys.create("SHA2-256", label="hmac")
    ours, peer = (hem.keys.create("CURVE25519", label=name) for name in ("ours", "peer"))
    return {
        "AESGCM": AESGCM(keys["aead"]),
        "Cipher": Cipher(keys["cipher"], modes.CTR(bytes(16))),
        "CMAC": CMAC(keys["mac"]),
        "HMAC": HMAC(hmac, hashes.SHA256()),
        "Agreement": Agreement(ours, peer),
    }


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy])
def test_copies_work_like_the_original(made, way):
    twins = {name: way(each) for name, each in made.items()}
    nonce = bytes(12)
    assert twins["AESGCM"].decrypt(nonce, made["AESGCM"].encrypt(nonce, b"data", b""), b"") == b"data"
    encrypted = [each["Cipher"].encryptor().update(b"data") for each in (made, twins)]
    assert encrypted[0] == encrypted[1]
    assert twins["Agreement"] == made["Agreement"]
    for name in ("CMAC", "HMAC"):
        made[name].update(b"one")
        twins[name].update(b"one")
        assert made[name].finalize() == twins[name].finalize()


def test_a_copied_mac_goes_on_by_itself(made):
    for name in ("CMAC", "HMAC"):
        made[name].update(b"one")
        twin = copy.deepcopy(made[name])
        twin.update(b" two")
        alone = made[name].finalize()
        assert twin.finalize() != alone


def test_every_object_says_what_it_is_and_which_key_it_uses(made):
    for name, each in made.items():
        said = repr(each)
        assert name in said
        assert " at 0x" not in said
        assert any(word in said for word in ("key ", "Key ")), said
