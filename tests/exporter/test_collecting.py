"""What is asked of a device, how often, and what is told where it does not answer."""

from __future__ import annotations

import pytest
from support.passphrases import PASSPHRASE
from support.traffic import LostRequest

from hem_provider.device import health
from hem_provider.exporter.collecting import DAY, HOUR, Collector
from hem_provider.exporter.page import page
from hem_provider.exporter.samples import of_reading
from hem_provider.records import replace

STATUS, VERSION = "GET /api/system/status", "GET /api/system/version"
#: A login: a challenge and a proof.
LOGIN = ["GET /api/auth/token", "POST /api/auth/token"]
LIST, TEST = "GET /api/keymgmt/list/0/15", "GET /api/system/selftest"


def asked(rig, collect):
    """What it asked, in order."""
    before = len(rig.requests)
    reading = collect()
    return rig.requests[before:], reading


def make(rig, *labels):
    with rig.connect() as hem:
        return [hem.keys.create("ED25519", label=each).kid for each in labels]


def told(reading, **options):
    return {
        (each.name, *each.labels): each.value for each in of_reading("k", reading, labels=False, **options)
    }


def test_a_collection_is_one_call_but_for_what_is_due(rig, collector, hours):
    rig.power_cycle()  # the log gets a file that is finished
    rig.check_in()
    first, reading = asked(rig, collector.collect)
    files = ["GET /api/logger/list/0", "GET /api/logger/key"]
    assert first[:2] == [STATUS, VERSION]
    assert first[2:6] == [*LOGIN, LIST, TEST]
    assert first[6:8] == LOGIN  # another scope
    assert sorted(each for each in first[8:] if each in files) == sorted(files)
    assert len(first) == 11
    assert reading.up
    assert reading.login
    assert reading.log.problems == 0
    for _ in range(5):
        hours.pass_by(30)
        assert asked(rig, collector.collect)[0] == [STATUS]
    hours.pass_by(HOUR)
    assert asked(rig, collector.collect)[0] == [STATUS, *LOGIN, LIST]
    assert not collector.hem.logged_in  # a key in memory is no use until the next hour
    assert asked(rig, collector.collect)[0] == [STATUS]
    hours.pass_by(DAY)
    found, _ = asked(rig, collector.collect)
    assert [each for each in found if each in (STATUS, VERSION, LIST, TEST)] == [STATUS, LIST, TEST]
    assert collector.hem.statistics.calls == len(rig.requests)


def test_a_page_of_keys_is_a_call(rig, collector):
    make(rig, *(f"key {number}" for number in range(31)))
    found, reading = asked(rig, collector.collect)
    assert len([each for each in found if each.startswith("GET /api/keymgmt/list/")]) == 3
    assert told(reading)["hem_keys", "k", "ED25519"] == 31


def test_without_a_login_it_tells_what_everybody_is_told(rig, config, hours):
    collector = Collector(replace(config, passphrase_file=None), now=hours)
    found, reading = asked(rig, collector.collect)
    assert found == [STATUS, VERSION]
    values = told(reading)
    assert values["hem_up", "k"] == 1
    assert values["hem_login_available", "k"] == 0
    assert values["hem_temperature_celsius", "k"] == 41.5
    assert not [name for name, *_ in values if name.startswith(("hem_key", "hem_selftest", "hem_log_"))]


def test_a_phone_is_never_asked(rig, config, hours):
    collector = Collector(replace(config, passphrase_file=None, auth="mobile"), now=hours)
    found, reading = asked(rig, collector.collect)
    assert found == [STATUS, VERSION]
    assert not reading.login


def test_a_login_that_is_refused_is_not_tried_again_for_an_hour(rig, collector, secret, hours):
    secret.write_text("another one\n")
    found, reading = asked(rig, collector.collect)
    assert found == [STATUS, VERSION, *LOGIN, LOGIN[0]]  # whether the clock was set meanwhile
    assert [each.name for each in reading.findings] == ["login-refused"]
    assert told(reading)["hem_login_available", "k"] == 0
    hours.pass_by(HOUR - 1)
    assert asked(rig, collector.collect)[0] == [STATUS]
    secret.write_text(f"{PASSPHRASE}\n")
    hours.pass_by(2)  # of the collector's alone: to the login the challenge is fresh
    found, reading = asked(rig, collector.collect)
    assert found[:3] == [STATUS, LOGIN[1], LIST]
    assert reading.login


def test_a_passphrase_file_that_cannot_be_read_is_tried_at_each_collection(rig, collector, secret):
    secret.rename(secret.with_suffix(".away"))
    _, reading = asked(rig, collector.collect)
    assert [each.name for each in reading.findings] == ["not-usable"]
    assert not reading.login
    secret.with_suffix(".away").rename(secret)
    found, reading = asked(rig, collector.collect)
    assert LIST in found
    assert reading.login


def test_a_device_that_is_away_is_told_of_with_nothing_that_was_known(rig, collector, hours):
    collector.collect()
    rig.before_each = lambda: (_ for _ in ()).throw(LostRequest("away"))
    hours.pass_by(30)
    _, reading = asked(rig, collector.collect)
    values = told(reading)
    assert values["hem_up", "k"] == 0
    assert {name for name, *_ in values} == {
        "hem_up", "hem_collection_timestamp_seconds", "hem_collection_duration_seconds",
        "hem_login_available", "hem_finding",
    }  # fmt: skip
    rig.before_each = None
    hours.pass_by(30)
    found, reading = asked(rig, collector.collect)
    assert reading.up
    assert {STATUS, VERSION, LIST, TEST} <= set(found)  # it may have come back as another


def test_a_restart_has_it_asked_for_all_anew(rig, collector, hours):
    collector.collect()
    collector._uptime = 10**6  # it was up for long
    rig.check_in()
    hours.pass_by(30)
    assert {STATUS, VERSION, LIST, TEST} <= set(asked(rig, collector.collect)[0])


def test_a_device_that_has_lost_its_clock_is_not_logged_in_to_nor_checked_in(rig, collector):
    rig.reboot()
    found, reading = asked(rig, collector.collect)
    assert found == [STATUS, VERSION]
    values = told(reading)
    assert values["hem_clock_set", "k"] == 0
    assert ("hem_clock_drift_seconds", "k") not in values
    assert values["hem_finding", "k", "clock-unset", "fault"] == 1


def test_a_wiped_device_is_told_as_such_and_its_keys_are_not(rig, collector, hours):
    make(rig, "one")
    assert told(collector.collect())["hem_keys", "k", "ED25519"] == 1
    with rig.device.model.transaction():
        from hem_provider.emulator import lifecycle

        lifecycle.wipe(rig.device.model)
    hours.pass_by(30)
    found, reading = asked(rig, collector.collect)
    values = told(reading)
    assert set(found) <= {STATUS, VERSION}
    assert values["hem_up", "k"] == 1
    assert values["hem_initialized", "k"] == 0
    assert values["hem_finding", "k", "not-initialised", "fault"] == 1
    assert not [name for name, *_ in values if name.startswith("hem_key")]


@pytest.mark.parametrize("bits", [0x01, 0x02, 0x04, 0x40, 0xFF])
def test_each_bit_of_the_latch_is_a_value_and_a_finding(rig, collector, bits):
    rig.fls(bits)
    found, reading = asked(rig, collector.collect)
    assert found == [STATUS, VERSION]  # all else is refused
    values = told(reading)
    for bit, (name, _) in health.FAIL_STATES.items():
        assert values["hem_fail_state", "k", name] == bool(bits & bit)
        assert (("hem_finding", "k", name, "fault") in values) == bool(bits & bit)
    assert values["hem_fail_state", "k", "fail-state-unknown"] == 0


def test_a_bit_of_the_latch_that_nobody_knows_is_told_as_such(rig, collector):
    rig.alter = lambda line, body: (
        body.replace(b'"fls_state":0', b'"fls_state":256') if line == STATUS else body
    )
    values = told(collector.collect())
    assert values["hem_fail_state", "k", "fail-state-unknown"] == 1
    assert values["hem_finding", "k", "fail-state-unknown", "fault"] == 1


def test_labels_of_keys_are_told_when_asked_for_alone(rig, collector):
    [kid] = make(rig, 'odd "label"\\')
    reading = collector.collect()
    plain = page(of_reading("k", reading, labels=False))[1].decode()
    assert "odd" not in plain
    assert kid not in plain
    full = page(of_reading("k", reading, labels=True))[1].decode()
    line = f'hem_key_info{{device="k",kid="{kid}",label="odd \\"label\\"\\\\",type="ED25519"}} 1.0'
    assert line in full
    assert PASSPHRASE not in full


def test_an_altered_log_is_told_of(rig, collector, monkeypatch):
    rig.power_cycle()
    rig.check_in()

    def alter(line, body):
        files = line.startswith("GET /api/logger/") and "/list" not in line and "/key" not in line
        return body.replace(b"|13|0||", b"|13|0|U|") if files else body

    rig.alter = alter
    values = told(collector.collect())
    assert values["hem_log_problems", "k"] >= 1
    assert values["hem_finding", "k", "log-altered", "fault"] == 1
    assert ("hem_log_verified_until_timestamp_seconds", "k") not in values


def test_humidity_is_told_where_the_device_tells_it(rig, collector, hours):
    assert ("hem_humidity_ratio", "k") not in told(collector.collect())
    from hem_provider.emulator import control

    control.run(rig.device, "climate", {"humidity": 91.0, "temperature": 80})
    hours.pass_by(30)
    values = told(collector.collect())
    assert values["hem_humidity_ratio", "k"] == 0.91
    assert values["hem_finding", "k", "humidity-out-of-range", "warning"] == 1
    assert values["hem_finding", "k", "temperature-out-of-range", "warning"] == 1
