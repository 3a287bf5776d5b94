"""Deriving the key that proves a secret: the device API's check values, and another implementation's."""

from __future__ import annotations

import sys

import pytest
from support.passphrases import PASSPHRASE

from hem_provider.errors import HemConfigError
from hem_provider.rest.ejwt import public_key_of
from hem_provider.rest.encoding import b64
from hem_provider.rest.kdf import Kdf, argon2d_seed, master_kdfs, mnemonic_seed, seed_from

EID = "ZLEBsdC+WocEvQePmJUAH8A+jp+VIvGI3RKNmEbUhGY="
WORDS = "abandon " * 23 + "art"


def test_the_master_mnemonic_gives_the_check_value_of_the_device_api() -> None:
    seed = mnemonic_seed(WORDS)
    assert seed.hex() == "08b285c123836004f4b8842c89324c1f01382450c0d439af345ba7fc49acf705"
    assert b64(public_key_of(seed)) == "npHoBqiizdNniy/kAK2QJnlTAdGVxgA7dza2FKIaqhY="


def test_the_newest_software_takes_the_entropy_itself() -> None:
    assert seed_from(WORDS, EID, Kdf.BIP39_ENTROPY) == bytes(32)
    zoo = "zoo " * 23 + "vote"  # of BIP39's published vectors
    assert seed_from(zoo, EID, Kdf.BIP39_ENTROPY) == b"\xff" * 32


@pytest.mark.parametrize("kdf", [Kdf.BIP39, Kdf.BIP39_ENTROPY])
@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("abandon " * 22 + "abandn art", "word 23 of 24"),
        ("xyzzy " + "abandon " * 21 + "plugh art", "word 1, 23 of 24"),
        ("abandon " * 24, "the checksum is wrong"),
        ("art " + "abandon " * 23, "the checksum is wrong"),
        ("abandon " * 12, "12 words; accepted: 24"),
        ("", "0 words; accepted: 24"),
    ],
)
def test_words_that_are_no_mnemonic_are_named_by_their_place_only(kdf: Kdf, words: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        seed_from(words, EID, kdf)
    assert not {"xyzzy", "plugh", "abandn", "abandon"} & set(str(caught.value).split())
    assert caught.value.__cause__ is None


def test_a_master_secret_is_tried_in_two_ways_at_most() -> None:
    assert master_kdfs(WORDS, "auto", Kdf.PBKDF2) == (Kdf.BIP39_ENTROPY, Kdf.BIP39)
    assert master_kdfs("a passphrase", "auto", Kdf.ARGON2D) == (Kdf.ARGON2D,)
    assert master_kdfs(WORDS, "bip39", Kdf.PBKDF2) == (Kdf.BIP39,)
    assert master_kdfs(WORDS, "pbkdf2", Kdf.ARGON2D) == (Kdf.PBKDF2,)


def test_spaces_and_case_of_a_mnemonic_do_not_matter() -> None:
    assert mnemonic_seed("  Abandon\n" * 23 + "\tART ") == mnemonic_seed(WORDS)


def test_argon2d_gives_what_the_reference_implementation_gives() -> None:
    # argon2-cffi 25 over libargon2: hash_secret_raw(…, 10, 8192, 1, 32, Type.D, 0x13)
    expected = "11a3633b7df1f2bc419b74020cde36cac40941928b91d2cfefa292f150f96b06"
    assert argon2d_seed(PASSPHRASE, EID).hex() == expected


def test_each_kind_is_reached_by_its_name() -> None:
    assert seed_from(WORDS, EID, Kdf.BIP39) == mnemonic_seed(WORDS)
    assert seed_from("x", EID, Kdf.ARGON2D) == argon2d_seed("x", EID)
    assert seed_from("x", EID, Kdf.PBKDF2) not in (argon2d_seed("x", EID), b"")


def test_an_older_cryptography_is_told_what_argon2d_needs(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.kdf.argon2", None)
    with pytest.raises(HemConfigError, match="needs cryptography 47"):
        argon2d_seed("x", EID)
