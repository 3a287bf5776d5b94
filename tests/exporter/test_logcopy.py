"""The log as the copy on this machine tells it, where one is collected: verified, without a call."""

from __future__ import annotations

import pytest
from support.devicelog import DeviceLog

from hem_provider.auditlog.collecting import Collector as LogCollector
from hem_provider.auditlog.copy import LogCopy, usual_folder
from hem_provider.auditlog.progress import known_of, note
from hem_provider.exporter.collecting import HOUR
from hem_provider.exporter.logcopy import look_at_copy
from hem_provider.exporter.samples import of_reading

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
    seen = look_at_copy("k")
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
    seen = look_at_copy("k")
    assert seen.until is None
    assert seen.problems >= 1
    assert found(seen) == [ALTERED]


def test_a_gap_that_collecting_has_noticed_is_told(collect, device):
    device.start(5)
    device.start(5)
    collect()
    del device.files[min(device.files)]
    collect()
    seen = look_at_copy("k")
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
