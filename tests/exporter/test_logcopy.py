"""The log as the copy on this machine tells it, where one is collected: verified, without a call."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.devicelog import DeviceLog

from hem_provider.auditlog.checking import ORDINARY, verify_copy
from hem_provider.auditlog.collecting import Collector as LogCollector
from hem_provider.auditlog.copy import LogCopy, usual_folder
from hem_provider.auditlog.entry import OWN_EVENTS
from hem_provider.auditlog.facts import ALERTS
from hem_provider.auditlog.looked import last_look, note_look
from hem_provider.auditlog.progress import known_of, note
from hem_provider.exporter import logcopy
from hem_provider.exporter.collecting import DAY, HOUR, Reading
from hem_provider.exporter.logcopy import look_at_copy
from hem_provider.exporter.samples import of_reading
from tools import make_monitoring

ALTERED, GAP = ("log-altered", "fault"), ("log-gap", "fault")


@pytest.fixture
def device():
    return DeviceLog()


@pytest.fixture
def copy():
    return LogCopy(usual_folder("k"))


@pytest.fixture
def collect(copy, device):
    def collect():
        with copy.writing(lambda: device.now) as writer:
            known = known_of(copy)
            LogCollector(known, writer.append, clock=lambda: device.now).collect(device)
            known.tip = writer.tip
            note(copy, known)

    return collect


def found(seen):
    return [(each.name, str(each.level)) for each in seen.findings]


def test_where_no_copy_is_kept_there_is_nothing_to_tell():
    assert look_at_copy("k") is None


def test_a_whole_copy_is_verified_until_its_last_record(collect, device, copy):
    device.start(5)
    device.start(5)
    collect()
    seen = look_at_copy("k", lambda: device.now)
    records = [each.record for each in copy.entries() if each.record]
    assert (seen.until, seen.gaps, seen.problems, found(seen)) == (records[-1].time, 0, 0, [])


def test_a_copy_that_was_altered_is_told_and_is_verified_until_nowhere(collect, device, copy):
    device.start(5)
    device.start(5)
    collect()
    [day] = copy.days()
    content = bytearray(day.path.read_bytes())
    content[len(content) // 2] ^= 1
    day.path.write_bytes(content)
    seen = look_at_copy("k", lambda: device.now)
    assert seen.until is None
    assert seen.problems >= 1
    assert found(seen) == [ALTERED]


def test_a_gap_that_collecting_has_noticed_is_told(collect, device):
    device.start(5)
    device.start(5)
    collect()
    del device.files[min(device.files)]
    collect()
    seen = look_at_copy("k", lambda: device.now)
    assert seen.gaps == 1
    assert found(seen) == [GAP]


def test_a_copy_spares_the_device_its_log(rig, collector, collect, device, hours):
    device.start(3)
    device.start(3)
    collect()
    rig.power_cycle()
    rig.check_in()
    reading = collector.collect()
    assert not [each for each in rig.requests if "/api/logger" in each]
    values = {each.name: each.value for each in of_reading("k", reading, labels=False)}
    assert values["hem_log_gaps"] == values["hem_log_problems"] == 0
    assert values["hem_log_verified_until_timestamp_seconds"] > 0
    rig.before_each = lambda: (_ for _ in ()).throw(ConnectionError)
    hours.pass_by(HOUR)
    away = {each.name: each.value for each in of_reading("k", collector.collect(), labels=False)}
    assert away["hem_up"] == 0
    assert away["hem_log_problems"] == 0  # the copy is here all the same


def _whole(copy, change):
    [day] = copy.days()
    change(day.path)


def _head(path):
    path.write_bytes(path.read_bytes().replace(b'"after":0', b'"after":1', 1))


def _beheaded(path):
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))


@pytest.mark.parametrize(
    "change",
    [_head, _beheaded, lambda path: path.write_bytes(b""), lambda path: path.unlink(),
     lambda path: path.chmod(0o644)],
    ids=["head changed", "head removed", "emptied", "removed", "readable for others"],
)  # fmt: skip
def test_a_copy_that_cannot_be_read_as_it_was_written_is_a_problem(
    change, collect, device, copy, rig, collector
):
    device.start(5)
    device.start(5)
    collect()
    _whole(copy, change)
    seen = look_at_copy("k", lambda: device.now)
    assert seen is not None
    assert seen.problems >= 1
    assert seen.until is None
    assert found(seen) == [ALTERED]
    values = {each.name: each.value for each in of_reading("k", collector.collect(), labels=False)}
    assert values["hem_log_problems"] >= 1
    assert "hem_log_verified_until_timestamp_seconds" not in values
    assert not [each for each in rig.requests if "/api/logger" in each]


def test_a_copy_that_cannot_be_read_has_no_number_of_gaps(collect, device, copy):
    device.start(5)
    device.start(5)
    collect()
    _whole(copy, lambda path: path.chmod(0o644))
    reading = Reading(5.0, log=look_at_copy("k", lambda: device.now))
    assert {each.name for each in of_reading("k", reading, labels=False) if "_log_" in each.name} == {
        "hem_log_problems"
    }


def test_a_folder_with_a_lock_alone_is_no_copy(copy):
    with copy.writing():
        pass
    assert look_at_copy("k") is None


def test_a_file_that_is_packed_meanwhile_is_no_problem(collect, device, copy, monkeypatch):
    device.start(5)
    device.start(5)
    collect()
    looks = []

    def verify(copy):
        looks.append(copy)
        if len(looks) == 1:
            raise FileNotFoundError
        return verify_copy(copy)

    monkeypatch.setattr(logcopy, "verify_copy", verify)
    assert look_at_copy("k", lambda: device.now).problems == 0


# --- what collecting has noticed --------------------------------------------------------------------


def _new_key(device):
    device.signer = Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32)
    device.start(3)
    device.start(3)


def _another(device):
    device.hardware = "ffffffffffffffff"
    _wiped(device)


def _wiped(device):
    device.eid = "AAAA" + device.eid[4:]
    device.files.clear()
    _new_key(device)


@pytest.mark.parametrize(
    ("name", "change"),
    [("log-key-changed", _new_key), ("device-replaced", _another), ("device-wiped", _wiped)],
)
def test_another_device_or_log_key_is_a_finding_and_a_metric(name, change, collect, device, copy):
    device.start(5)
    device.start(5)
    collect()
    change(device)
    collect()
    seen = look_at_copy("k", lambda: device.now)
    assert (seen.problems, seen.gaps) == (0, 0)
    assert (name, "fault") in found(seen)
    assert seen.events[name] == 1
    assert set(seen.events) == set(OWN_EVENTS) - ORDINARY
    samples = of_reading("k", Reading(5.0, log=seen), labels=False)
    assert ("k", name) in [
        each.labels for each in samples if each.name == "hem_log_events" and each.value == 1
    ]
    assert f'event=~"{"|".join(sorted(ALERTS))}"' in make_monitoring.WATCHED["log-event"].expression
    assert name in ALERTS


def test_a_file_that_reads_otherwise_though_all_of_it_is_genuine_is_a_finding(collect, device, copy):
    file = device.start(5)
    device.start(5)
    collect()
    device.log(file=file)
    with copy.writing(lambda: device.now) as writer:
        LogCollector(known_of(copy), writer.append, clock=lambda: device.now).collect(device, reread=True)
    seen = look_at_copy("k", lambda: device.now)
    assert seen.problems == 0
    assert found(seen) == [("file-altered", "fault")]


# --- how old it is ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "level"), [(1, None), (3, "warning"), (8, "fault")])
def test_a_collector_that_is_dead_is_told_and_a_quiet_device_is_not(days, level, collect, device, copy):
    device.start(5)
    device.start(5)
    collect()
    late = device.now + 100 * DAY
    assert look_at_copy("k", lambda: late).collected == device.now  # a copy of before looks were noted
    assert found(look_at_copy("k", lambda: late)) == [("log-not-collected", "fault")]
    note_look(copy, late)  # nothing was new
    seen = look_at_copy("k", lambda: late + days * DAY)
    assert seen.collected == late
    assert found(seen) == ([] if level is None else [("log-not-collected", level)])


def test_a_look_is_noted_once_a_minute_and_again_after_the_clock_was_set_back(copy):
    with copy.writing():
        for when, noted in ((1000, 1000), (1059, 1000), (1060, 1060), (500, 500)):
            note_look(copy, when)
            assert last_look(copy) == noted


# --- until when -------------------------------------------------------------------------------------


def test_lines_whose_beginning_was_moved_away_do_not_say_themselves_until_when_all_is_genuine(
    collect, device, copy
):
    device.start(5)
    device.shown = True
    collect()
    before = device.now
    device.now += 2 * int(DAY)
    device.log()  # goes on with the same file, on another day
    collect()
    assert look_at_copy("k", lambda: device.now).until == device.now
    first, _ = copy.days()
    first.path.unlink()
    assert [each.record.time for each in copy.entries() if each.record] == [device.now]
    assert look_at_copy("k", lambda: device.now).until is None
    device.now += int(DAY)
    device.start(3)
    collect()
    assert look_at_copy("k", lambda: device.now).until == device.now > before
