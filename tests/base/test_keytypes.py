"""The table of key types and the parser of the device's type strings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hem_provider.keytypes import KEY_TYPES, Family, parse_attributes


def test_there_are_the_23_types_of_the_device_and_ec_comes_first():
    assert len(KEY_TYPES) == 23
    assert [each.family for each in KEY_TYPES.values()][:4] == [Family.EC] * 4


@pytest.mark.parametrize(
    ("name", "public", "signature", "secret"),
    [
        ("SECP256R1", 33, 64, 32),
        ("SECP384R1", 49, 96, 48),
        ("SECP521R1", 67, 132, 66),
        ("SECP256K1", 33, 64, 32),
        ("CURVE448", 56, None, 56),
        ("ED448", 57, 114, None),
        ("SHA3-384", None, 48, None),
        ("AES192", None, None, 24),
        ("MLDSA87", 2592, 4627, None),
    ],
)
def test_sizes_follow_the_device_reference(name, public, signature, secret):
    key_type = KEY_TYPES[name]
    assert (key_type.public_size, key_type.signature_size, key_type.secret_size) == (
        public,
        signature,
        secret,
    )


def test_the_natural_digest_of_a_curve_comes_first():
    assert KEY_TYPES["SECP384R1"].sign_algorithms[0] == "SHA384WithECDSA"
    assert set(KEY_TYPES["SECP521R1"].sign_algorithms) == set(KEY_TYPES["SECP256R1"].sign_algorithms)


@pytest.mark.parametrize(
    ("text", "name", "private", "ecdh", "exdsa", "usable"),
    [
        ("ATT,PKEY,ECDH,ExDSA,SECP256R1", "SECP256R1", True, True, True, True),
        ("ExDSA,ED25519", "ED25519", False, False, True, False),
        ("ATT,AES256", "AES256", False, False, False, True),
        ("SECP384R1", "SECP384R1", False, False, False, False),
        ("ATT,PKEY,PQC,MLKEM768", "MLKEM768", True, False, False, True),
        ("ATT,PKEY,GENERIC_DER", None, True, False, False, False),
        ("PKEY,NEW_IN_2.0,ED25519", "ED25519", True, False, False, True),
        ("", None, False, False, False, False),
    ],
)
def test_type_strings_are_understood(text, name, private, ecdh, exdsa, usable):
    found = parse_attributes(text)
    assert (found.key_type.name if found.key_type else None) == name
    assert (found.private, found.ecdh, found.exdsa, found.usable) == (private, ecdh, exdsa, usable)


@given(st.text())
def test_any_text_is_parsed_without_an_error(text):
    assert all(token in text for token in parse_attributes(text).tokens)
