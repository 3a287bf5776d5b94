"""Bech32, held against the vectors of BIP-173 and the examples of age's specification."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hem_provider.adapters.age.bech32 import decode, encode

#: BIP-173, "Test vectors", those whose data are whole bytes; and age's specification.
VALID = {
    "A12UEL5L": ("A", b""),
    "a12uel5l": ("a", b""),
    "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs": (
        "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio",
        b"",
    ),
    "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw": (
        "abcdef",
        bytes.fromhex("00443214c74254b635cf84653a56d7c675be77df"),
    ),
    f"11{'q' * 82}c8247j": ("1", bytes(51)),
    "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w": (
        "split",
        bytes.fromhex("c5f38b70305f519bf66d85fb6cf03058f3dde463ecd7918f2dc743918f2d"),
    ),
    # Longer than BIP-173 has them, as age's keys are.
    "an84characterslonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1569pvx": (
        "an84characterslonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio",
        b"",
    ),
    "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX": (
        "AGE-SECRET-KEY-",
        b"\x42" * 32,
    ),
}
#: BIP-173, "Test vectors" (the first are of the same, with one fault each) → what is said.
INVALID = {
    "split1checkupstagehandshakeupstreamerranterredcaperred2y9e2w": "checksum",
    "s lit1checkupstagehandshakeupstreamerranterredcaperredp8hs2p": "prefix",
    "spl\x7ft1checkupstagehandshakeupstreamerranterredcaperred2y9e3w": "prefix",
    "split1cheo2y9e2w": "'o' is none of Bech32",
    "split1a2y9w": "checksum",
    "1checkupstagehandshakeupstreamerranterredcaperred2y9e3w": "prefix of 0",
    "\x201nwldj5": "prefix",
    "\x7f1axkwrx": "prefix",
    "\x801eym55h": "prefix",
    "pzry9x0s0muk": "without prefix",
    "1pzry9x0s0muk": "prefix of 0",
    "x1b4n0q5v": "'b' is none of Bech32",
    "li1dgmt3": "without prefix",
    "de1lg7wt\xff": "is none of Bech32",
    "A1G7SGD8": "checksum",
    "10a06t8": "prefix of 0",
    "1qzzfhee": "prefix of 0",
    "a12UEL5L": "mixed",
    "": "without prefix",
}


@pytest.mark.parametrize("text", VALID)
def test_what_the_standard_calls_valid_is_read_and_written_alike(text):
    assert decode(text) == VALID[text]
    assert encode(*VALID[text]) == text


@pytest.mark.parametrize("text", INVALID)
def test_what_the_standard_calls_invalid_is_refused(text):
    with pytest.raises(ValueError, match=INVALID[text]):
        decode(text)


@given(st.binary(max_size=1300), st.sampled_from(["age", "age1pq", "AGE-PLUGIN-HEM-", "1"]))
def test_every_data_comes_back(data, prefix):
    text = encode(prefix, data)
    assert decode(text) == (prefix, data)
    assert decode(text.swapcase()) == (prefix.swapcase(), data)


@given(st.binary(min_size=1, max_size=80), st.data())
def test_one_wrong_character_is_noticed(data, drawn):
    text = encode("age", data)
    place = drawn.draw(st.integers(4, len(text) - 1))
    other = drawn.draw(st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l").filter(lambda c: c != text[place]))
    with pytest.raises(ValueError, match="checksum"):
        decode(text[:place] + other + text[place + 1 :])


@given(st.text(max_size=100))
def test_any_text_is_read_or_refused(text):
    try:
        prefix, data = decode(text)
    except ValueError:
        return
    assert encode(prefix, data) == text


@pytest.mark.parametrize("bits", [[31], [0], [1, 0, 0], [16, 3]])
def test_bits_that_are_no_whole_byte_are_refused(bits):
    from hem_provider.adapters.age import bech32

    values = [*bits, *[0] * 6]
    rest = bech32._checksum([*bech32._expanded("x"), *values]) ^ 1
    values = [*bits, *((rest >> 5 * (5 - place)) & 31 for place in range(6))]
    text = "x1" + "".join(bech32._ALPHABET[each] for each in values)
    with pytest.raises(ValueError, match="no whole byte"):
        decode(text)


@pytest.mark.parametrize("prefix", ["", "Age", "a b", "ä"])
def test_a_prefix_that_is_none_is_refused(prefix):
    with pytest.raises(ValueError, match="prefix"):
        encode(prefix, b"")


def test_a_secret_that_was_mistyped_is_not_repeated():
    with pytest.raises(ValueError) as refused:
        decode("AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEQ")
    assert "GFPYY" not in str(refused.value)
