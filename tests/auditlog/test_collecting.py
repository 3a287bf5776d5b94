"""Collecting: nothing twice, nothing lost, few calls, and what is odd is told by events of their own."""

from __future__ import annotations

import gzip
import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hem_provider.auditlog.checking import verify_copy
from hem_provider.auditlog.entry import OWN_EVENTS
from hem_provider.errors import HemAnswerFault, HemUnreachable


def lines(copy, file):
    """What a copy has of a device's file, put together again."""
    return b"".join(
        each.text + each.end.encode() for each in copy.entries() if each.file == file and not each.own
    )


def own(copy, name):
    return [each.own for each in copy.entries() if each.own is not None and each.own.name == name]


def test_all_closed_files_are_collected_as_they_are(device, copy, collect):
    for _ in range(3):
        device.start()
    assert collect() == ["log-key", "file-collected", "file-collected"]
    first, second, current = device.files
    assert [lines(copy, each) for each in (first, second)] == [device.files[first], device.files[second]]
    assert lines(copy, current) == b""
    (collected, _) = own(copy, "file-collected")
    assert collected.data == {
        "lines": 4,
        "bytes": len(device.files[first]),
        "sha256": hashlib.sha256(device.files[first]).hexdigest(),
        "problems": 0,
    }
    assert {each.device for each in copy.entries()} == {device.eid}
    assert verify_copy(copy).problems == ()


def test_what_was_collected_costs_one_call_and_each_new_file_one_more(device, collect):
    for _ in range(3):
        device.start()
    collect()
    assert sorted(device.calls) == ["key", "list", "read", "read", "read", "serial"]  # one read is refused
    device.calls.clear()
    assert collect() == []
    assert device.calls == ["list"]
    device.calls.clear()
    device.start()
    assert collect() == ["file-collected"]
    assert device.calls == ["list", "read"]


def test_ten_thousand_files_are_collected_and_then_cost_one_call(device, copy, collect):
    for _ in range(10_000):
        device.start(lines=1)
    names = collect()
    assert names.count("file-collected") == 9999
    assert device.calls.count("list") == 79
    device.calls.clear()
    device.start(lines=1)
    assert collect() == ["file-collected"]
    assert device.calls == ["list", "read"]
    assert verify_copy(copy).files == 10_000


def test_without_what_was_noted_all_follows_from_the_copy(device, copy, collect):
    for _ in range(4):
        device.start()
    collect()
    (copy.folder / "state.json").write_bytes(b"{")
    device.calls.clear()
    assert collect() == []
    assert device.calls[:1] == ["list"]
    (copy.folder / "state.json").unlink()
    assert collect() == []


def test_a_file_that_is_shown_while_it_grows_is_collected_piece_by_piece(device, copy, collect):
    device.shown = True
    device.start()
    collect()
    device.calls.clear()
    device.log()
    device.files[max(device.files)] += b"5|65"  # it is being written just now
    assert collect() == ["file-continues"]
    assert device.calls == ["list", "read"]
    assert collect() == []
    file = max(device.files)
    device.files[file] = device.files[file].removesuffix(b"5|65")
    device.log()
    device.start()
    assert collect() == ["file-collected", "file-continues"]
    assert lines(copy, file) == device.files[file]
    assert len([each for each in copy.entries() if each.file == file and each.line == 4]) == 1
    assert verify_copy(copy).problems == ()


def test_a_file_that_grew_and_reads_otherwise_is_told_and_collected_again(device, copy, collect):
    device.shown = True
    file = device.start()
    collect()
    before = device.files[file]
    device.files[file] = before.replace(b"|1|0|", b"|2|0|", 1)
    assert collect() == ["file-altered", "bad-line", "file-continues"]
    assert lines(copy, file) == before + device.files[file]


def test_files_that_are_gone_are_a_gap_told_once(device, copy, collect):
    for _ in range(5):
        device.start()
    collect()
    gone = sorted(device.files)[1]
    kept = device.files.pop(gone)
    assert collect() == ["gap"]
    assert collect() == []
    assert own(copy, "gap")[0].text == f"the log file {gone} is missing on the device, and was there before"
    device.start()
    assert collect() == ["file-collected"]
    device.files[gone] = kept  # it is back
    assert collect() == []
    del device.files[gone]
    assert collect() == ["gap"]


def test_a_file_that_is_listed_and_not_there_is_a_gap(device, collect):
    first, _, _ = device.start(), device.start(), device.start()
    device.files[first] = b""
    assert collect() == ["gap", "log-key", "file-collected"]
    device.calls.clear()
    assert collect() == []
    assert device.calls == ["list"]


def test_an_answer_that_is_no_log_file_keeps_none_of_the_others_back(device, copy, collect, monkeypatch):
    first, second, _ = device.start(), device.start(), device.start()
    read = device.read

    def no_file(file):
        if file == first:
            raise HemAnswerFault("24 bytes of text/html")
        return read(file)

    monkeypatch.setattr(device, "read", no_file)
    with pytest.raises(HemAnswerFault, match="24 bytes"):
        collect()
    assert lines(copy, first) == b""
    assert lines(copy, second) == device.files[second]
    monkeypatch.undo()
    assert collect() == ["device-back", "file-collected"]
    assert lines(copy, first) == device.files[first]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda lines: lines[:3] + lines[4:], ["gap"]),
        (lambda lines: [*lines[:3], lines[3].replace(b"|1|0|", b"|2|0|"), *lines[4:]], ["bad-line"]),
        (lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]], ["gap", "gap", "gap"]),
        (lambda lines: [*lines[:3], lines[2], *lines[3:]], ["gap"]),
        (lambda lines: [*lines[:3], b"", *lines[3:]], ["bad-line"]),
        (lambda lines: [*lines[:3], b"GET / HTTP/1.1", b"\0\0", b"\xff\xfe|", *lines[3:]], ["bad-line"] * 3),
        (lambda lines: [*lines[:3], b"x" * 2**20, *lines[3:]], ["bad-line"]),
        (lambda lines: [lines[0], *lines[2:]], ["bad-line"]),
        (lambda lines: lines[:1], ["bad-line"]),
        (lambda lines: [*lines[:-1]], []),
    ],
    ids=[
        "missing",
        "altered",
        "swapped",
        "twice",
        "empty",
        "foreign",
        "long",
        "no key",
        "no records",
        "last",
    ],
)
def test_lines_that_are_not_the_devices_are_kept_and_told(device, copy, collect, change, names):
    file = device.start(lines=6)
    device.start()
    content = device.files[file].split(b"\r\n")[:-1]
    device.files[file] = b"".join(line + b"\r\n" for line in change(content))
    found = collect()
    assert [each for each in found if each in ("gap", "bad-line")][: len(names)] == names
    assert bool(names) is any(each in ("gap", "bad-line") for each in found)
    assert lines(copy, file) == device.files[file]
    assert bool(verify_copy(copy).problems) is bool(names)
    assert collect() == []


def test_a_file_of_nothing_but_damage_is_told_with_an_end(device, copy, collect):
    file = device.start()
    device.start()
    device.files[file] = b"\n".join([b"x"] * 3000)
    assert collect().count("bad-line") == 101
    assert own(copy, "file-collected")[0].data["problems"] > 3000
    assert lines(copy, file) == device.files[file]


def test_a_device_that_signs_with_another_key_is_told(device, copy, collect):
    device.start(), device.start()
    collect()
    device.signer = Ed25519PrivateKey.from_private_bytes(bytes(32))
    device.start(), device.start()
    assert collect() == ["file-collected", "log-key-changed", "file-collected"]
    assert verify_copy(copy).problems == ()
    assert verify_copy(copy).noticed == {"log-key-changed": 1}
    assert len(verify_copy(copy).log_keys) == 2


@pytest.mark.parametrize(
    ("serial", "name"), [("0011223344556677", "device-wiped"), ("ff" * 8, "device-replaced")]
)
def test_a_device_with_another_identity_is_told(device, copy, collect, serial, name):
    device.start(), device.start()
    collect()
    device.files.clear()
    device.eid, device.hardware = "other", serial
    device.signer = Ed25519PrivateKey.from_private_bytes(bytes(32))
    device.start(), device.start()
    assert collect() == [name, "log-key", "file-collected"]
    assert collect() == []
    assert {each.device for each in copy.entries(copy.last().number - 1)} == {"other"}
    assert verify_copy(copy).problems == ()


def test_a_clock_that_went_back_or_is_far_ahead_is_told(device, copy, collect):
    device.start()
    device.now -= 60
    device.log()
    device.log(event=0x13, actor="U", data="NQsxYg")
    device.now -= 600  # it was set
    device.log()
    device.start()
    device.now += 3 * 86400
    device.log()
    device.log()
    device.start()
    device.now -= 3 * 86400
    assert collect().count("clock-jump") == 2
    back, ahead = own(copy, "clock-jump")
    assert back.text == "line 5: the clock went back by 60 s"
    assert ahead.data["seconds"] == 3 * 86400


def test_a_device_that_is_away_and_back_is_told_once_each(device, copy, collect):
    device.start(), device.start()
    collect()
    device.error = HemUnreachable("hem: not reached\nsecond line")
    for _ in range(3):
        with pytest.raises(HemUnreachable):
            collect()
    device.now += 86400
    device.error = None
    device.start()
    assert collect() == ["device-back", "file-collected"]
    (away,) = own(copy, "device-away")
    assert (away.text, away.data) == ("hem: not reached", {"reason": "HemUnreachable"})
    assert own(copy, "device-back")[0].data == {"seconds": 86400}


def test_files_are_read_again_when_that_is_asked_for(device, copy, collect):
    first, _, _ = device.start(), device.start(), device.start()
    collect()
    device.calls.clear()
    assert collect(reread=True) == []
    assert device.calls == ["list", "read", "read"]
    before = device.files[first]
    device.files[first] = before.replace(b"|1|0|", b"|2|0|", 1)
    assert collect() == []  # nobody looked
    assert collect(reread=True) == ["file-altered", "bad-line", "file-collected"]
    assert lines(copy, first) == before + device.files[first]
    assert collect(reread=True) == []


def test_a_collection_that_was_stopped_while_an_altered_file_was_read_goes_on(device, copy, collect):
    first, _, _ = device.start(), device.start(), device.start()
    collect(noted=False)
    before = copy.tip().number
    device.files[first] = device.files[first].replace(b"|1|0|", b"|2|0|", 1)
    collect(reread=True, noted=False)
    (day,) = copy.days()
    whole = day.path.read_bytes().splitlines(keepends=True)
    for kept in range(before + 2, len(whole)):  # after the event, at the end of each line
        day.path.write_bytes(b"".join(whole[:kept]))
        collect(noted=False)
        assert [each.own.name for each in copy.entries(before) if each.own] == [
            "file-altered",
            "bad-line",
            "file-collected",
        ]
        assert lines(copy, first).endswith(device.files[first])
        device.calls.clear()
        assert collect(noted=False) == []
        assert device.calls == ["list", "read"]  # whether the file being written is shown was not noted


def test_a_collection_that_was_stopped_within_a_file_goes_on_there(device, copy, collect):
    """As after ``kill -9``: at the end of any line."""
    file = device.start(lines=6)
    device.start()
    collect(noted=False)
    (day,) = copy.days()
    whole = day.path.read_bytes().splitlines(keepends=True)
    for kept in range(1, len(whole)):
        day.path.write_bytes(b"".join(whole[:kept]) + whole[kept][: kept * 9])
        collect(noted=False)
        assert lines(copy, file) == device.files[file]
        assert len(own(copy, "file-collected")) == 1
        assert verify_copy(copy).problems == ()


def test_names_of_own_events_are_those_that_are_documented(device, collect):
    assert all(name == name.lower() and OWN_EVENTS[name] for name in OWN_EVENTS)


def noted(copy, change):
    """Change what was noted, as somebody would."""
    path = copy.folder / "state.json"
    values = json.loads(path.read_bytes())
    change(values)
    path.write_text(json.dumps(values))


def held(copy):
    return {each.file for each in copy.entries() if each.record is not None}


@pytest.mark.parametrize("moved", [False, True])
def test_a_file_is_not_skipped_because_somebody_has_noted_that_it_was_collected(device, copy, collect, moved):
    device.start()
    for _ in range(3):
        device.start()
        collect()
        device.now += 86400
    hidden = max(device.files)
    device.start()
    if moved:
        copy.days()[0].path.unlink()
    assert verify_copy(copy).intact
    noted(copy, lambda values: values["files"].setdefault(hidden, [0, 0, "0" * 64]))
    found = f"state.json: {hidden} was noted otherwise than the copy tells of it"
    assert verify_copy(copy).problems == (found,)
    assert collect() == ["file-collected"]
    assert hidden in held(copy)
    assert verify_copy(copy).intact
    assert len([each for each in copy.entries() if each.line == 1 and each.own is None]) == 4 - moved


def test_what_was_noted_of_files_otherwise_is_found_and_set_right(device, copy, collect):
    device.shown = True
    for _ in range(3):
        device.start()
    collect()
    first, _, third = sorted(device.files)
    for change in (
        lambda values: values["files"].pop(first),
        lambda values: values["files"].update({first: [1, 1, "0" * 64]}),
    ):
        noted(copy, change)
        assert not verify_copy(copy).intact
        assert collect() == []
    noted(copy, lambda values: values["missing"].append(first))
    del device.files[first]
    assert collect() == ["gap"]
    lines, content = device.files[third].count(b"\n"), device.files[third]
    device.log(file=third)
    content = device.files[third]
    digest = hashlib.sha256(content).hexdigest()
    noted(copy, lambda values: values["begun"].update({third: [lines + 1, len(content), digest]}))
    assert collect() == ["file-continues"]
    assert verify_copy(copy).intact
    assert sum(each.file == third and each.record is not None for each in copy.entries()) == lines


def test_what_was_noted_up_to_an_entry_that_is_missing_is_not_believed(device, copy, collect):
    device.start()
    for _ in range(3):
        device.start()
        collect()
        device.now += 86400
    hidden = max(device.files)
    device.start()
    days = copy.days()
    days[1].path.unlink()
    noted(copy, lambda values: values["files"].setdefault(hidden, [0, 0, "0" * 64]))
    noted(copy, lambda values: values.update(number=days[2].head.after - 1))
    collect()
    assert hidden in held(copy)


def test_a_packed_day_that_is_damaged_does_not_end_collecting(device, copy, collect):
    device.start()
    device.start()
    collect()
    device.now += 86400
    device.start()
    collect()
    path = copy.days()[0].path
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes())[:-30])
    packed.chmod(0o600)
    path.unlink()
    device.start()
    assert collect()[-1:] == ["file-collected"]
