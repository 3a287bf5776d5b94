"""A long listing that was interrupted goes on in another process, which skips no key."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from itertools import islice

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.rig import connected, make_template
from support.traffic import LostReply

from benchmarks.filling import label, records
from hem_provider.device.cache import DiskCache
from hem_provider.device.keyuri import uri_of
from hem_provider.device.naming import key_meant
from hem_provider.device.pages import Course
from hem_provider.device.partlist import RESUMED_FOR, PartList
from hem_provider.errors import HemConnectionError, HemKeyNotFound
from hem_provider.rest.keymgmt import KeyRecord, Page

COUNT = 90
#: Calls to list them.
ALL = 7


def fill(rig):
    with rig.device.model.transaction():
        repository = rig.device.model.repository
        repository.fill(records(COUNT, rig.device.model.now()))
        # Its own records, which stand first, are not shown.
        return [
            each.kid.hex() for each in repository.read(repository.slots()) if each.label.startswith("key ")
        ]


@pytest.fixture
def kids(rig):
    return fill(rig)


def part(rig):
    return rig.connect().keys._listing.cache.place("part")


def interrupted(rig, keys=20):
    """By the end of the program, after two pages unless told otherwise; nothing is said to anybody."""
    hem = rig.connect()
    list(islice(hem.keys, keys))
    return hem


def cost(hem):
    listed = [each.kid for each in hem.keys]
    return listed, hem.statistics.calls - 2 * hem.statistics.logins


@pytest.fixture
def elsewhere(rig, monkeypatch, tmp_path):
    @contextmanager
    def other():
        with monkeypatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
            yield rig.connect().keys

    return other


def test_it_goes_on_in_another_process(rig, kids):
    interrupted(rig)
    assert cost(rig.connect()) == (kids, ALL - 2)
    assert not part(rig).exists()
    kept = DiskCache(rig.connect().config.url).listing()
    assert [each.kid for each in kept.records][-COUNT:] == kids
    assert not kept.is_recent(30)  # the time of what is old is not told as now
    assert cost(rig.connect()) == (kids, ALL)


def test_it_goes_on_again_and_again(rig, kids):
    for pages in range(1, ALL):
        hem = interrupted(rig, 14 * pages + 1)
        assert hem.statistics.calls - 2 * hem.statistics.logins <= 2
    assert cost(rig.connect())[0] == kids


def test_it_goes_on_after_a_call_that_failed(rig, kids):
    for _ in range(9):
        rig.fault("GET /api/keymgmt/list/42", LostReply)
    with pytest.raises(HemConnectionError):
        list(rig.connect().keys)
    rig._faults.clear()
    assert cost(rig.connect()) == (kids, ALL - 3)


@pytest.mark.parametrize(
    "anew", ["late", "early", "renamed", "deleted", "made", "refreshed", "another device"]
)
def test_it_begins_anew(rig, kids, monkeypatch, anew):
    interrupted(rig)
    hem, now = rig.connect(), time.time()
    if anew == "late":
        monkeypatch.setattr(time, "time", lambda: now + RESUMED_FOR + 1)
    if anew == "early":  # this machine's clock was put back
        monkeypatch.setattr(time, "time", lambda: now - 10)
    if anew == "renamed":
        hem.keys.update(kids[0], label="new")
    if anew == "deleted":
        hem.keys.delete(kids[-1])
    if anew == "made":
        hem.keys.create("ED25519", label="new")
    if anew == "refreshed":
        hem.keys.refresh()
    if anew == "another device":
        path = part(rig)
        path.write_bytes(path.read_bytes().replace(hem.probe().eid.encode(), b"another"))
    listed, calls = cost(rig.connect())
    assert calls == ALL
    assert listed == [each.kid for each in rig.connect().keys]


def test_few_keys_leave_no_file(rig, hem):
    for number in range(30):
        hem.keys.create("ED25519", label=f"k{number}")
    hem.keys.refresh()
    list(islice(rig.connect().keys, 3))
    assert not part(rig).exists()


def test_what_others_delete_meanwhile_hides_no_key(rig, kids, elsewhere):
    interrupted(rig)
    with elsewhere() as other:
        for kid in (*kids[3:9], *kids[27:31], kids[60]):
            other.delete(kid)
    listed, _ = cost(rig.connect())
    assert set(listed) >= set(kids) - set(kids[3:9]) - set(kids[27:31]) - {kids[60]}
    assert len(set(listed)) == len(listed)


def test_what_others_change_in_the_first_part_is_told_as_it_was(rig, kids, elsewhere):
    """What no listing that takes minutes can promise: who needs it as it is now, begins anew."""
    interrupted(rig)
    with elsewhere() as other:
        other.update(kids[5], label="new")
        other.delete(kids[6])
    hem = rig.connect()
    told = {each.kid: each.label for each in hem.keys}
    assert (told[kids[5]], told[kids[6]]) == (label(5), label(6))
    hem.keys.refresh()
    assert [each.label for each in hem.keys][5:7] == ["new", label(7)]


def by_label(hem, name):
    return hem.keys.find(label=name)


def by_uri(hem, name):
    return key_meant(hem, uri_of(object=name))


@pytest.mark.parametrize("find", [by_label, by_uri])
@pytest.mark.parametrize("change", ["renamed", "deleted"])
def test_nor_is_a_key_found_that_is_not_there_or_not_called_so(rig, kids, elsewhere, find, change):
    interrupted(rig)
    with elsewhere() as other:
        if change == "renamed":
            other.update(kids[5], label="new")
        else:
            other.delete(kids[5])
    with pytest.raises(HemKeyNotFound):
        find(rig.connect(), label(5))


@pytest.mark.parametrize("find", [by_label, by_uri])
def test_a_key_that_stands_costs_one_call_more_and_no_listing(rig, kids, find):
    interrupted(rig)
    hem = rig.connect()
    assert find(hem, label(5)).kid == kids[5]
    assert hem.statistics.calls == 2 + (ALL - 2) + 1
    assert find(hem, label(5)).kid == kids[5]
    assert hem.statistics.calls == 2 + (ALL - 2) + 1


@pytest.mark.parametrize("find", [by_label, by_uri])
def test_a_key_that_was_called_otherwise_is_found(rig, kids, elsewhere, find):
    interrupted(rig)
    with elsewhere() as other:
        other.update(kids[5], label="new")
    assert find(rig.connect(), "new").kid == kids[5]


def test_what_this_process_knows_better_is_not_told_as_it_was(rig, kids, elsewhere):
    interrupted(rig)
    with elsewhere() as other:
        other.update(kids[5], label="new")
    hem = rig.connect()
    hem.keys.search_anonymous()
    assert [each.label for each in hem.keys][5] == "new"


def test_a_change_by_another_process_of_this_machine_leaves_no_list_of_before_it(rig, kids):
    hem = interrupted(rig)
    rig.connect().keys.update(kids[5], label="new")
    list(hem.keys)
    assert DiskCache(hem.config.url).listing() is None


def test_two_processes_that_list_at_once_both_list_all(rig, kids):
    one, two = interrupted(rig), interrupted(rig, 40)
    assert [each.kid for each in one.keys] == kids
    assert [each.kid for each in two.keys] == kids
    assert len(DiskCache(one.config.url).listing().records) == COUNT + 2


def test_a_page_that_was_torn_is_asked_for_again(rig, kids):
    interrupted(rig, 40)
    path = part(rig)
    path.write_bytes(path.read_bytes()[:-7])
    interrupted(rig, 60)
    assert cost(rig.connect()) == (kids, 2)


RECORD = KeyRecord("00" * 16, "AES128", "x", b"\1", 1, 2)


@given(st.binary(max_size=80) | st.recursive(st.none() | st.integers() | st.text(max_size=4) | st.floats(),
       lambda each: st.lists(each, max_size=4)).map(lambda value: json.dumps(value).encode()))  # fmt: skip
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_a_line_pages_before_it_count(line):
    cache = DiskCache("https://fuzz.ence.do")
    PartList(cache, "hem").begin("eid", time.time(), Page((RECORD,) * 2, 0, 40))
    path = cache.place("part")
    whole = path.read_bytes()
    path.write_bytes(whole + line)
    found = PartList(cache, "hem").resume()
    assert (found.eid, found.records, found.next) == ("eid", (RECORD,), 1)
    for content in (line, line + b"\n" + whole):
        path.write_bytes(content)
        assert PartList(cache, "hem").resume() in (None, found)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return make_template(tmp_path_factory.mktemp("hem") / "template.hem", patch)


#: Pages that a process lists, and what others do after its end.
runs = st.tuples(st.integers(0, 5), st.lists(st.tuples(st.booleans(), st.integers(0, COUNT)), max_size=6))


@given(st.lists(runs, min_size=1, max_size=5))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_there_all_the_time_is_listed_wherever_processes_end(template, tmp_path_factory, runs):
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "here"))
        with connected(patch, template, folder / "device.hem") as rig:
            there, made = fill(rig), iter(records(200, 1))
            for pages, changes in runs:
                list(islice(rig.connect().keys, 14 * pages))
                with rig.device.model.transaction():  # as others change the device
                    repository = rig.device.model.repository
                    for adds, place in changes:
                        if adds:
                            repository.fill([next(made)])
                        elif place < len(there):
                            repository.delete(repository.find(bytes.fromhex(there.pop(place))), boot=1)
            listed = [each.kid for each in rig.connect().keys]
            assert set(there) <= set(listed)
            assert len(listed) == len(set(listed))


def test_a_course_goes_on_at_a_place():
    course = Course("hem", ["a", "b", "c"], 7)
    assert course.next == 7
