"""Logs that were damaged: each damage is what a client reads, and nothing else of the log changes."""

from __future__ import annotations

import time

import pytest
from support.logs import BadLog, verify

from hem_provider.emulator import control
from hem_provider.emulator.encodings import from_b64
from hem_provider.emulator.logdamage import DAMAGES


def damage(rig, name, **parameters):
    return control.run(rig.device, "log", {"name": name, **parameters})


def reboot(rig):
    control.run(rig.device, "reset", {"how": "reboot"})
    rig.check_in()


def files(rig):
    token = rig.token("logger:get")
    found = rig.call("GET", "/api/logger/list", token=token).json()
    ids = found["id"]
    while len(ids) < found["total"]:
        ids += rig.call("GET", f"/api/logger/list/{len(ids)}", token=token).json()["id"]
    return ids


def read(rig, file):
    return rig.call("GET", f"/api/logger/{file}", token=rig.token("logger:get")).body


def key(rig):
    return from_b64(rig.call("GET", "/api/logger/key", token=rig.token("logger:get")).json()["key"])


@pytest.fixture
def logged(rig):
    """A device with two finished files."""
    reboot(rig)
    reboot(rig)
    return rig


def changed(rig, name, **parameters):
    """The lines of the newest finished file before and after a damage."""
    *others, file, _ = files(rig)
    before = read(rig, file)
    kept = [read(rig, each) for each in others]
    done = damage(rig, name, **parameters)
    assert done["file"] == file
    assert [read(rig, each) for each in others] == kept
    return before.splitlines(keepends=True), read(rig, file).splitlines(keepends=True), done


def test_a_cut_file_ends_in_a_line(logged):
    before, after, done = changed(logged, "cut")
    assert after[:-1] == before[:-1]
    assert before[-1].startswith(after[-1])
    assert 0 < len(after[-1]) < len(before[-1])
    assert done["line"] == len(before)
    before, after, _ = changed(logged, "cut", line=3)
    assert (len(after), after[:2]) == (3, before[:2])


def test_an_altered_line_has_another_time_or_the_given_text(logged):
    before, after, done = changed(logged, "alter")
    place = done["line"] - 1
    assert [one == other for one, other in zip(before, after, strict=True)].count(False) == 1
    assert len(after[place]) == len(before[place])
    assert after[place] != before[place]
    with pytest.raises(BadLog):
        verify(b"".join(after).decode(), key(logged))
    _, after, _ = changed(logged, "alter", line=2, text="other")
    assert after[1] == b"other\r\n"
    _, after, _ = changed(logged, "alter", line=1)
    assert after[0].startswith(b"# Encedo")


def test_lines_change_places_go_and_come_twice(logged):
    before, after, _ = changed(logged, "swap", line=3)
    assert after == [*before[:2], before[3], before[2], *before[4:]]
    before, after, _ = changed(logged, "remove", line=4)
    assert after == [*before[:3], *before[4:]]
    before, after, _ = changed(logged, "double", line=2)
    assert after == [*before[:2], before[1], *before[2:]]


def test_strange_lines_stand_before_a_line(logged):
    before, after, _ = changed(logged, "foreign", line=3, text="from elsewhere")
    assert after == [*before[:2], b"from elsewhere\r\n", *before[2:]]
    before, after, _ = changed(logged, "long", line=1)
    assert (len(after[0]), after[1:]) == ((1 << 20) + 2, before)
    _, after, _ = changed(logged, "long", line=1, count=5)
    assert after[0] == b"xxxxx\r\n"
    _, after, _ = changed(logged, "binary", line=1)
    assert b"\x00" in after[0]
    with pytest.raises(UnicodeDecodeError):
        after[0].decode()


def test_a_file_is_empty_or_gone(logged):
    _, after, done = changed(logged, "empty")
    assert after == []
    assert done["file"] in files(logged)
    damage(logged, "gone", file=done["file"])
    assert done["file"] not in files(logged)
    answer = logged.call("GET", f"/api/logger/{done['file']}", token=logged.token("logger:get"))
    assert answer.status == 404


def test_odd_records_have_good_macs(logged):
    file = damage(logged, "odd")["file"]
    reboot(logged)
    records = verify(read(logged, file).decode(), key(logged))
    odd = [record for record in records if record[0] in (6, 11, 24, 27)]
    assert odd == [
        (6, 0, "", "-0x7780"),
        (11, 1, "U", "HTTP/1.1"),
        (24, 0, "", ""),
        (24, 1, "", ""),
        (27, 0, "", ""),
    ]


def test_a_current_file_that_is_damaged_goes_on(logged):
    logged.quirk("Q37", "off")
    current = files(logged)[-1]
    damage(logged, "alter", file=current, line=3)
    damage(logged, "empty", file=current)
    logged.token("logger:get")
    numbers = [line.split(b"|")[0] for line in read(logged, current).splitlines()]
    assert numbers == sorted(numbers)
    assert numbers[0] > b"2"


def test_ten_thousand_files_are_made_in_seconds_and_are_good(rig):
    old = files(rig)
    started = time.process_time()
    damage(rig, "many")
    assert time.process_time() - started < 60
    found = files(rig)
    assert (len(found), found[-len(old) :]) == (10_000 + len(old), old)
    assert found == sorted(set(found))
    for file in (found[0], found[5000], found[9999]):
        assert [record[0] for record in verify(read(rig, file).decode(), key(rig))] == [0, 1, 7]


def test_another_log_key_signs_a_new_file_and_the_old_ones_stay(logged):
    before, old = files(logged), key(logged)
    damage(logged, "new-key")
    assert key(logged) != old
    after = files(logged)
    assert after[:-1] == before
    verify(read(logged, before[-1]).decode(), old)
    reboot(logged)
    verify(read(logged, after[-1]).decode(), key(logged))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"name": "burnt"}, "no damage 'burnt' of a log; there are cut, "),
        ({"name": "cut", "file": "00000000"}, "there is no log file '00000000'"),
        ({"name": "cut", "line": 99}, "line of .* is from 1 to "),
        ({"name": "cut", "line": -1}, "line of .* is from 1 to "),
        ({"name": "cut", "line": "3"}, "line of a damage is int, not '3'"),
        ({"name": "cut", "count": 3}, "cut has no count"),
        ({"name": "many", "count": 0}, "count of many is from 1 to 100000, not 0"),
        ({"name": "long", "count": 1 << 25}, "count of long is from 1 to 16777216"),
        ({"name": "foreign", "text": "a\r\nb"}, "text is one line"),
        ({"name": "cut", "colour": 1}, "no parameter 'colour'"),
    ],
)
def test_a_damage_that_cannot_be_is_refused_with_what_can(logged, parameters, message):
    before = [read(logged, file) for file in files(logged)]
    with pytest.raises(control.ControlError, match=message):
        control.run(logged.device, "log", parameters)
    assert [read(logged, file) for file in files(logged)][: len(before) - 1] == before[:-1]


def test_the_last_line_has_no_next_to_swap_with_and_a_fresh_device_no_finished_file(logged, make_rig):
    file = files(logged)[0]
    with pytest.raises(control.ControlError, match="is the last"):
        damage(logged, "swap", file=file, line=len(read(logged, file).splitlines()))
    with pytest.raises(control.ControlError, match="no log file is finished yet"):
        damage(make_rig(init=False), "cut")


def test_every_damage_is_tried_here():
    assert set(DAMAGES) == {
        "cut", "alter", "swap", "remove", "double", "empty", "gone", "foreign", "long", "binary", "odd",
        "many", "new-key",
    }  # fmt: skip
