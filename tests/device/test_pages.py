"""Pages of a device's records while others change it: nothing that is there all the time is skipped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.passphrases import PASSPHRASE

from hem_provider.device.pages import all_pages
from hem_provider.errors import HemAnswerFault
from hem_provider.rest.keymgmt import PAGE, KeyRecord, Page


def record(number):
    return KeyRecord(f"{number:032x}", "AES256", f"k{number}", b"", 0, 0)


def listed(storage, offset, *, uncounted=0):
    return Page(tuple(map(record, storage[offset : offset + PAGE])), offset, len(storage) + uncounted)


@given(
    st.integers(0, 100),
    st.lists(st.lists(st.tuples(st.sampled_from("di"), st.integers(0, 120)), max_size=20), max_size=12),
    st.integers(0, 5),
)
def test_what_is_there_all_the_time_is_in_a_page(count, changes, uncounted):
    storage, made, coming, asked = list(range(count)), iter(range(1000, 9999)), iter(changes), []

    def ask(offset):
        asked.append(offset)
        page = listed(storage, offset, uncounted=uncounted)
        for kind, place in next(coming, ()):  # while the answer travels
            if kind == "d" and place < len(storage):
                del storage[place]
            if kind == "i":
                storage.insert(place, next(made))
        return page

    seen = {each.kid for page in all_pages("hem", ask) for each in page.records}
    assert seen >= {record(each).kid for each in range(count) if each in storage}


@pytest.mark.parametrize(
    ("count", "offsets"),
    [(0, [0]), (1, [0]), (15, [0]), (16, [0, 14]), (29, [0, 14]), (30, [0, 14, 28]), (43, [0, 14, 28])],
)
def test_undisturbed_a_page_brings_fourteen_more(count, offsets):
    asked = []

    def ask(offset):
        asked.append(offset)
        return listed(range(count), offset)

    assert len({each.kid for page in all_pages("hem", ask) for each in page.records}) == count
    assert asked == offsets


def test_what_is_deleted_meanwhile_costs_a_step_back_and_no_more():
    storage, asked = list(range(40)), []

    def ask(offset):
        asked.append(offset)
        page = listed(storage, offset)
        if len(asked) == 2:
            del storage[3:6]
        return page

    list(all_pages("hem", ask))
    assert asked == [0, 14, 28, 14, 28]


def test_records_that_never_stand_still_are_a_fault():
    numbers = iter(range(10**6))

    def ask(offset):
        return Page(tuple(record(next(numbers)) for _ in range(PAGE)), offset, 1000)

    with pytest.raises(HemAnswerFault, match="hem: records stand elsewhere each time"):
        list(all_pages("hem", ask))


def test_a_key_is_not_missed_because_another_program_deletes_one(hem, rig):
    kids = [hem.keys.create("AES128", label=f"k{number}").kid for number in range(40)]
    with rig.connect(PASSPHRASE) as other:
        doomed = [other.keys.get(kid) for kid in kids[:3]]
        hem.keys.refresh()
        walk = iter(hem.keys)
        met = [next(walk).kid for _ in range(8)]
        for key in doomed:
            other.keys.delete(key)
        met += [each.kid for each in walk]
    assert set(met) >= set(kids[3:])
    assert len(met) == len(set(met))


def test_keys_are_deleted_while_they_are_walked_over(hem):
    kids = {hem.keys.create("AES128", label=f"k{number}").kid for number in range(33)}
    hem.keys.refresh()
    met = []
    for key in hem.keys:
        met.append(key.kid)
        hem.keys.delete(key)
    assert set(met) == kids
    assert [each.kid for each in hem.keys] == []


def test_deleted_keys_leave_nothing_behind_in_a_long_process(hem):
    for _ in range(3):
        hem.keys.delete(hem.keys.create("AES128", label="short-lived"))
    listing = hem.keys._listing
    assert (listing._order, listing._placed, dict(listing._keys)) == ([], set(), {})
