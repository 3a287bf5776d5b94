"""The packing of ``descr``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hem_provider.device.description import (
    DENIABLE,
    MAX_APPLICATION_ID,
    MECHANISMS,
    MODE_FAMILIES,
    PREFIX,
    Description,
    Limits,
    new_mark,
    parse_description,
)
from hem_provider.keytypes import MAX_DESCR

descriptions = st.builds(
    Description,
    mark=st.binary(min_size=8, max_size=8),
    application_id=st.binary(max_size=MAX_APPLICATION_ID),
    families=st.frozensets(st.sampled_from(sorted(MODE_FAMILIES))),
    limits=st.builds(
        Limits,
        denied=st.frozensets(st.sampled_from(sorted(DENIABLE))),
        mechanisms=st.frozensets(st.sampled_from(sorted(MECHANISMS))),
    ),
)


@given(descriptions)
def test_what_is_packed_is_read_back_and_fits(description):
    packed = description.pack()
    assert parse_description(packed) == description
    assert len(packed) <= MAX_DESCR
    assert packed.startswith(PREFIX)
    assert packed.startswith(description.search_prefix())


@given(st.binary(max_size=70))
def test_what_is_read_packs_to_the_same_bytes(tail):
    for descr in (tail, PREFIX + tail, PREFIX + b"\x10" + tail, PREFIX + b"\x20" + tail):
        description = parse_description(descr)
        assert description is None or description.pack() == descr


@pytest.mark.parametrize(
    "descr",
    [
        b"",
        b"EXTAID" + bytes(32),
        PREFIX,
        Description().pack()[:-1],
        Description().pack() + b"x",
        PREFIX + b"\x30" + bytes(9),  # a later format
        PREFIX + b"\x20" + bytes(9),
        PREFIX + b"\x20" + bytes(13),  # limits that are none
        PREFIX + b"\x20" + bytes(8) + b"\x80\x00\x00\x00\x00",  # a limit of a later format
        PREFIX + b"\x10" + bytes(8) + b"\x29" + bytes(41),  # an id of 41 bytes
    ],
    ids=range(10),
)
def test_what_is_not_ours_is_none(descr):
    assert parse_description(descr) is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"application_id": bytes(41)}, "application id: 41 bytes"),
        ({"mark": bytes(7)}, "creation mark: 7 bytes"),
        ({"families": frozenset({"gcm"})}, "mode family"),
    ],
)
def test_values_that_do_not_fit_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Description(**values)


def test_marks_are_random():
    assert len({new_mark() for _ in range(100)}) == 100


@pytest.mark.parametrize("words", [{"denied": {"fly"}}, {"mechanisms": {"rsa"}}])
def test_limits_of_unknown_words_are_refused(words):
    with pytest.raises(ValueError, match="accepted: "):
        Limits(**{name: frozenset(value) for name, value in words.items()})


@pytest.mark.parametrize("words", ["sign", 5, [1]])
def test_limits_are_collections_of_words(words):
    with pytest.raises(TypeError, match="denied: .*accepted: "):
        Limits(denied=words)
    assert Limits(denied={"sign"}) == Limits(denied=["sign"]) == Limits(frozenset({"sign"}))


def test_a_key_without_limits_has_the_first_format():
    assert Description().pack()[len(PREFIX)] == 0x10
    assert Description(limits=Limits(frozenset({"copy"}))).pack()[len(PREFIX)] == 0x20
