"""The text of a vault: one value, one text; anything else is refused."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from adapters.doubles import KID, NAMES_KID, OTHER_KID, VAULT, body, sealed
from hypothesis import given
from hypothesis import strategies as st

from hem_provider.adapters.keyring.vault.errors import VaultDamaged, VaultVersion
from hem_provider.adapters.keyring.vault.format import Contents, Header, Record, b64url, unb64url
from hem_provider.adapters.keyring.vault.names import MAX_NAME, ClearNames, pack, readable

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
HEADERS = st.builds(
    Header,
    st.just(VAULT),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=32),
    st.sampled_from([KID, OTHER_KID]),
    st.none() | st.just(NAMES_KID),
)


@st.composite
def records(draw):
    service, user = ClearNames().words(draw(NAMES), draw(NAMES))
    return Record(
        service, user, draw(st.sampled_from([KID, OTHER_KID])), draw(st.binary()), draw(st.binary())
    )


CONTENTS = st.builds(
    lambda header, entries: Contents(header).with_records(entries), HEADERS, st.lists(records(), max_size=6)
)


@given(CONTENTS)
def test_what_is_written_is_what_is_read(contents):
    read = Contents.decode(contents.encode())
    assert read.header == contents.header
    assert dict(read.lines) == dict(contents.lines)
    for name, rest in read.lines.items():
        record = Record.decode(name, rest)
        assert (record.name, record.encode_rest()) == (name, rest)


@given(st.lists(records(), max_size=6), st.randoms())
def test_the_order_of_writing_does_not_show(entries, random):
    entries = list({each.name: each for each in entries}.values())
    shuffled = list(entries)
    random.shuffle(shuffled)
    header = Header(VAULT, "office", KID)
    assert Contents(header).with_records(entries).encode() == Contents(header).with_records(shuffled).encode()


@given(CONTENTS, st.data())
def test_a_file_cut_anywhere_is_refused(contents, data):
    whole = contents.encode()
    size = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(VaultDamaged):
        Contents.decode(whole[:size])


@given(CONTENTS, st.binary(min_size=1, max_size=5))
def test_a_file_with_something_added_is_refused(contents, more):
    with pytest.raises(VaultDamaged):
        Contents.decode(contents.encode() + more)


@given(CONTENTS, st.data())
def test_every_text_that_is_accepted_is_the_one_that_is_written(contents, data):
    """Alter a byte and put the checksum right: refused, or another vault in canonical form."""
    text = bytearray(body(contents.encode()))
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] = data.draw(st.integers(0, 255))
    altered = sealed(bytes(text))
    with contextlib.suppress(VaultDamaged, VaultVersion):
        assert Contents.decode(altered).encode() == altered


def test_every_single_flipped_bit_is_noticed():
    entries = [
        Record(*ClearNames().words(service, "anna"), KID, bytes(72), bytes(range(92)))
        for service in ("https://example.org/", "mail")
    ]
    whole = Contents(Header(VAULT, "office", KID)).with_records(entries).encode()
    for place in range(len(whole)):
        for bit in range(8):
            altered = bytearray(whole)
            altered[place] ^= 1 << bit
            with pytest.raises((VaultDamaged, VaultVersion)):
                Contents.decode(bytes(altered))


def test_a_later_format_is_told_from_damage():
    with pytest.raises(VaultVersion, match="'hem-keyring 2'.*'hem-keyring 1'"):
        Contents.decode(sealed(b"hem-keyring 2\nwhatever comes\n"))


LINE = b" ".join((b"mail anna", KID.encode(), b"AAAA", b"BBBB"))
TOP = Header(VAULT, "office", KID).encode()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"hem-keyring 1\n",
        TOP.replace(VAULT.encode(), VAULT.upper().encode()),
        TOP.replace(b"office", b""),
        TOP.replace(b"office", b"\xc3\xa4"),
        TOP.replace(b"office", b"x" * 33),
        TOP.replace(b"names clear", b"names"),
        TOP.replace(b"names clear", b"names hidden"),
        TOP + b"\n",
        TOP + LINE + b"\n" + LINE + b"\n",
        TOP + LINE + b"\nmail aaaa" + LINE[9:] + b"\n",
        TOP + b"mail anna\n",
        TOP + LINE,
    ],
)  # fmt: skip
def test_what_is_not_canonical_is_refused_even_with_a_right_checksum(text):
    with pytest.raises(VaultDamaged):
        Contents.decode(sealed(text))


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        KID.encode() + b" AAAA",
        KID.encode() + b" AAAA BBBB CCCC",
        KID.upper().encode() + b" AAAA BBBB",
        KID.encode() + b" AAAA BBB=",
        KID.encode() + b" AAA+ BBBB",
        KID.encode() + b" AAB BBBB",
        KID.encode() + b" AAAA  BBBB",
        KID.encode() + b" AAAA BBBB\r",
    ],
)
def test_an_entry_that_is_not_canonical_is_refused(rest):
    with pytest.raises(VaultDamaged):
        Record.decode(b"mail anna", rest)


@given(st.binary(max_size=80))
def test_base64url_has_one_text_for_each_value(data):
    assert unb64url(b64url(data), "test") == data


@given(st.text("ABab01-_=+/ ", max_size=8))
def test_base64url_refuses_every_other_text(text):
    try:
        data = unb64url(text.encode(), "test")
    except VaultDamaged:
        return
    assert b64url(data) == text.encode()


@given(NAMES)
def test_names_are_written_readably_and_read_back(name):
    word = ClearNames().service_word(name)
    assert readable(word) == name
    assert word
    assert word.isascii()
    assert not set(word) & set(b" \r\n")


@given(st.binary(max_size=8))
def test_a_name_has_one_way_to_be_written(word):
    try:
        name = readable(word)
    except VaultDamaged:
        return
    assert ClearNames().service_word(name) == word


def test_a_url_stays_legible_in_the_file():
    assert ClearNames().words("https://upload.example.org/legacy/", "__token__") == (
        b"https://upload.example.org/legacy/",
        b"__token__",
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [("\ud800", "character 1"), ("ä" * (MAX_NAME // 2 + 1), f"{MAX_NAME + 2} bytes.*{MAX_NAME}")],
)
def test_a_name_that_cannot_be_kept_is_refused_with_the_reason(name, reason):
    for service, user in ((name, "anna"), ("mail", name)):
        with pytest.raises(ValueError, match=reason):
            ClearNames().words(service, user)


@given(st.lists(st.binary(max_size=6), max_size=4), st.lists(st.binary(max_size=6), max_size=4))
def test_packed_parts_are_never_taken_for_others(left, right):
    assert (pack(*left) == pack(*right)) == (left == right)


@pytest.mark.parametrize(
    "change", [{"vault": "x"}, {"key": KID.upper()}, {"names_key": "1"}, {"device": "a\nb"}, {"device": ""}]
)
def test_a_header_that_could_not_be_read_back_cannot_be_made(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        replace(Header(VAULT, "office", KID), **change)
