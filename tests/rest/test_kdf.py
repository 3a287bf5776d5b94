"""Deriving the key that proves a secret: the device API's check values, and another implementation's."""

from __future__ import annotations

import sys

import pytest

from hem_provider.errors import HemConfigError
from hem_provider.rest.ejwt import public_key_of
from hem_provider.rest.encoding import b64
from hem_provider.rest.kdf import Kdf, argon2d_seed, mnemonic_seed, seed_from

EID = "ZLEBsdC+WocEvQePmJUAH8A+jp+VIvGI3RKNmEbUhGY="
WORDS = "abandon " * 23 + "art"


def test_the_master_mnemonic_gives_the_check_value_of_the_device_api() -> None:
    seed = mnemonic_seed(WORDS)
    assert seed.hex() == "08b285c123836004f4b8842c89324c1f01382450c0d439af345ba7fc49acf705"
    assert b64(public_key_of(seed)) == "npHoBqiizdNniy/kAK2QJnlTAdGVxgA7dza2FKIaqhY="


def test_spaces_and_case_of_a_mnemonic_do_not_matter() -> None:
    assert mnemonic_seed("  Abandon\n" * 23 + "\tART ") == mnemonic_seed(WORDS)


def test_argon2d_gives_what_the_reference_implementation_gives() -> None:
    # argon2-cffi 25 over libargon2: hash_secret_raw(…, 10, 8192, 1, 32, Type.D, 0x13)
    expected = "11a3633b7df1f2bc419b74020cde36cac40941928b91d2cfefa292f150f96b06"
    assert argon2d_seed("correct horse battery staple", EID).hex() == expected


def test_each_kind_is_reached_by_its_name() -> None:
    assert seed_from(WORDS, EID, Kdf.BIP39) == mnemonic_seed(WORDS)
    assert seed_from("x", EID, Kdf.ARGON2D) == argon2d_seed("x", EID)
    assert seed_from("x", EID, Kdf.PBKDF2) not in (argon2d_seed("x", EID), b"")


def test_an_older_cryptography_is_told_what_argon2d_needs(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.kdf.argon2", None)
    with pytest.raises(HemConfigError, match="needs cryptography 47"):
        argon2d_seed("x", EID)
