"""What is well with a device and what is not, from facts alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hem_provider import errors
from hem_provider.device import health
from hem_provider.device.contact import Certificate, MisshapenError, Trust
from hem_provider.device.health import THRESHOLDS, Level
from hem_provider.errors import HemDeviceFault, HemError, MessageTooLong
from hem_provider.rest.configuration import Attestation
from hem_provider.rest.system import FLS_BITS, Repository, SelfTest, Status, Version
from hem_provider.rest.wire import ConnectionLostError

GOOD = Status(
    initialized=True, fls_state=0, uptime=60, time=10**9, temperature=41.5, hostname=None, context=0,
    trusted_time=True, storage=(), format=None, upgraded=False,
)  # fmt: skip
DAY = 86_400


def names(findings):
    return [(str(each.level), each.name) for each in findings]


def test_a_healthy_device_has_no_findings():
    assert health.of_status(GOOD) == []
    assert health.of_drift(3.0) == health.of_drift(-59) == []
    assert health.of_answer_time(0.6) == []


@pytest.mark.parametrize(
    ("name", "value", "level"),
    [
        ("temperature", -0.1, "fault"),
        ("temperature", 0, "ok"),
        ("temperature", 75, "ok"),
        ("temperature", 75.1, "warning"),
        ("temperature", 85, "warning"),
        ("temperature", 85.1, "fault"),
        ("humidity", 4.9, "warning"),
        ("humidity", 5, "ok"),
        ("humidity", 85, "ok"),
        ("humidity", 85.1, "warning"),
        ("humidity", 95.1, "fault"),
        ("certificate", 21, "ok"),
        ("certificate", 20.9, "warning"),
        ("certificate", 6.9, "fault"),
        ("drift", 60, "ok"),
        ("drift", 61, "warning"),
        ("drift", 3601, "fault"),
        ("answer", 2.6, "warning"),
        ("free-slots", 32, "ok"),
        ("free-slots", 31, "warning"),
        ("free-slots", 0, "fault"),
        ("damaged-records", 0, "ok"),
        ("damaged-records", 1, "fault"),
        ("fail-state", 0, "ok"),
        ("fail-state", 1, "fault"),
        ("entropy", 1, "fault"),
        ("self-test", 1, "fault"),
        ("log-gap", 0, "ok"),
        ("log-gap", 1, "fault"),
    ],
)
def test_thresholds_are_met_where_the_table_says(name, value, level):
    assert THRESHOLDS[name].level(value) == level


def test_every_bit_has_a_name_of_its_own():
    assert set(health.FAIL_STATES) == set(FLS_BITS)
    assert len({name for name, _ in health.FAIL_STATES.values()}) == len(FLS_BITS)
    everything = health.of_status(replace(GOOD, fls_state=0xFF))
    assert [each.name for each in everything] == [name for name, _ in health.FAIL_STATES.values()]
    assert [each.cause for each in everything] == [f"fail state: {text}" for text in FLS_BITS.values()]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"fls_state": 0x100}, [("fault", "fail-state-unknown")]),
        ({"fls_state": 0x104}, [("fault", "too-hot"), ("fault", "fail-state-unknown")]),
        ({"initialized": False}, [("fault", "not-initialised")]),
        ({"humidity": 50}, []),
        ({"humidity": 2}, [("warning", "humidity-out-of-range")]),
        ({"humidity": 99.5}, [("fault", "humidity-out-of-range")]),
        ({"time": None}, [("fault", "clock-unset")]),
        ({"time": None, "trusted_time": False}, [("warning", "clock-unset")]),
        ({"format": "status0"}, [("warning", "formatting")]),
        ({"format": "done"}, []),
        ({"temperature": 90.0}, [("fault", "temperature-out-of-range")]),
        ({"temperature": None}, []),
    ],
)
def test_what_a_status_tells(change, found):
    assert names(health.of_status(replace(GOOD, **change))) == found


def test_a_clock_that_runs_fast_is_told_as_such():
    (found,) = health.of_drift(380, since=4800)
    assert (found.name, found.fix) == ("clock-ahead", "check-in")
    assert "6 minutes ahead, 7.9 % since its last check-in: this device runs fast" in found.cause
    assert "fast" not in health.of_drift(380)[0].cause
    assert "fast" not in health.of_drift(380, since=30)[0].cause, "too short a time to tell"
    assert health.of_drift(-380, since=4800)[0].name == "clock-behind"


@pytest.mark.parametrize(
    ("trust", "days", "found"),
    [
        (Trust.GOOD, 90, []),
        (Trust.GOOD, 12, [("warning", "certificate-ends-soon")]),
        (Trust.GOOD, 2, [("fault", "certificate-ends-soon")]),
        (Trust.GOOD, -2, [("warning", "certificate-expired")]),  # it is pinned
        (Trust.EXPIRED, -2, [("fault", "certificate-expired")]),
        (Trust.WRONG_NAME, 90, [("fault", "certificate-wrong-name")]),
        (Trust.FOREIGN_CA, -2, [("fault", "certificate-foreign-ca"), ("fault", "certificate-expired")]),
        (Trust.NOT_YET, 90, [("fault", "certificate-not-yet-valid")]),
        (Trust.NONE, None, [("fault", "certificate-lost")]),
        (Trust.OLD_TLS, None, [("fault", "tls-too-old")]),
    ],
)
def test_what_a_certificate_tells(trust, days, found):
    ends = None if days is None else 10**9 + days * DAY
    assert names(health.of_certificate(Certificate(trust, not_after=ends), 10**9)) == found


def test_why_a_certificate_is_refused_is_told_once():
    (found,) = health.of_certificate(Certificate(Trust.EXPIRED, "certificate has expired"), 0)
    assert found.cause == "the certificate has expired"
    (found,) = health.of_certificate(Certificate(Trust.WRONG_NAME, "it is for my.ence.do"), 0)
    assert found.cause == "the certificate is for another name (it is for my.ence.do)"


def test_every_reason_not_to_trust_has_a_name():
    assert set(health.TRUSTS) == set(Trust) - {Trust.GOOD}
    assert len({row[0] for row in health.TRUSTS.values()}) == len(health.TRUSTS)


@pytest.mark.parametrize(
    ("firmware", "found"),
    [
        ("Encedo nGINE FW v1.2.2", []),
        ("Encedo nGINE FW v1.10.0", []),
        ("Encedo nGINE FW v1.2.1", [("warning", "firmware-old")]),
        ("Encedo nGINE FW v0.9", [("warning", "firmware-old")]),
        ("Encedo nGINE FW v1.2.2-DIAG", [("fault", "firmware-diagnostic")]),
        ("something else", []),
    ],
)
def test_what_a_firmware_is_known_for(firmware, found):
    assert names(health.of_version(Version("PPA rev 2.2", firmware, None, None, None, None))) == found


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, []),
        ({"fls_state": 3}, [("fault", "known-answer-test-failed"), ("fault", "entropy-failed")]),
        ({"secure_element": 4}, [("fault", "secure-element-failed")]),
        ({"secure_element": None, "repository": None}, []),
        ({"repository": Repository(4, 0, 0, 0, 31)}, [("warning", "repository-nearly-full")]),
        ({"repository": Repository(4, 0, 0, 0, 0)}, [("fault", "repository-full")]),
        ({"repository": Repository(4, 0, 2, 0, 900)}, [("fault", "repository-damaged")]),
    ],
)
def test_what_a_self_test_tells(change, found):
    test = SelfTest(0, 10**9, busy=False, secure_element=0, repository=Repository(4, 0, 0, 0, 900))
    assert names(health.of_selftest(replace(test, **change))) == found


def test_a_secure_element_without_certificate_is_unprovisioned():
    assert health.of_attestation(Attestation(b"crt", None, None, "genuine")) == []
    assert names(health.of_attestation(Attestation(None, "csr", b"key", None))) == [
        ("warning", "unprovisioned")
    ]


def errors_of(kind):
    yield kind
    for each in kind.__subclasses__():
        yield from errors_of(each)


def test_every_error_has_a_name():
    """Of the package, and what the way to a device adds."""
    assert {kind.__name__ for kind in errors_of(HemError)} >= set(errors.__all__)
    for kind in errors_of(HemError):
        error = MessageTooLong("long", size=2, limit=1) if kind is MessageTooLong else kind("said")
        found = health.of_error(error)
        assert found.level is Level.FAULT
        assert found.name
        assert str(error) in found.cause


def test_a_lost_connection_is_told_from_an_answer_that_is_cut_short():
    error = ConnectionLostError("gone")
    assert health.of_error(error).name == "connection-reset"
    error.begun = True
    assert health.of_error(error).name == "answer-cut-short"


def test_a_busy_device_and_a_misshapen_answer_have_their_names():
    busy = HemDeviceFault("busy")
    assert health.of_error(busy).name == "device-error"
    busy.status = 409
    assert health.of_error(busy).name == "device-busy"
    misshapen = MisshapenError("what?")
    misshapen.name = "answer-empty"
    assert health.of_error(misshapen).name == "answer-empty"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 minutes"),
        (7200, "2 hours"),
        (2 * DAY, "2 days"),
        (90 * DAY, "90 days"),
    ],
)
def test_durations_are_told_in_the_largest_unit_that_fits_twice(seconds, told):
    assert health.duration(seconds) == told


def test_the_table_says_why_its_bounds_are_there():
    assert all(row.source for row in THRESHOLDS.values())
    for row in THRESHOLDS.values():
        bounds = [row.fault_below, row.warning_below, row.warning_above, row.fault_above]
        given = [each for each in bounds if each is not None]
        assert given == sorted(given)


@pytest.mark.parametrize(
    ("numbers", "count"),
    [([], 0), ([0, 1, 2], 0), ([1, 2], 0), ([1, 2, 5], 1), ([4, 5], 1), ([1, 3, 9], 2), ([5, 3, 4], 1)],
)
def test_gaps_of_the_log_are_counted(numbers, count):
    assert health.gaps(numbers) == count
    found = names(health.of_log("0001", [], numbers))
    assert found == ([("fault", "log-gap")] if count else [])


def test_what_was_altered_in_the_log_is_told_beside_what_is_missing():
    found = health.of_log("0001", ["line 3: changed after it was written"], [1, 3])
    assert names(found) == [("fault", "log-altered"), ("fault", "log-gap")]
    assert found[1].cause == "log 0001: in 1 places records are missing"


def test_every_threshold_is_what_a_finding_is_made_by():
    """No row stands there for nothing: with its bounds taken away, something is found no more."""
    from hem_provider.device.thresholds import Threshold

    hot = replace(GOOD, temperature=99, humidity=99, fls_state=0xFF)
    failed = SelfTest(3, 0, busy=False, secure_element=1, repository=Repository(1, 1, 1, 1, 0))
    ending = Certificate(Trust.GOOD, not_after=5 * DAY)

    def everything():
        return names(
            [
                *health.of_status(hot), *health.of_drift(9999), *health.of_answer_time(99),
                *health.of_certificate(ending, 0), *health.of_selftest(failed),
                *health.of_log("1", [], [1, 3]), *health.of_log_age(99),
                    *health.of_log_event("device-wiped", 1, "told", "advice"),
            ]
        )  # fmt: skip

    before = everything()
    for name in THRESHOLDS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(THRESHOLDS, name, Threshold(name, "", "unbounded"))
            assert everything() != before, name
