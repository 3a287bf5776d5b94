"""The audit log: the device API's published sample, tampering, and a device's own files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hem_provider.device.auditlog import Event, Result, verify_log
from hem_provider.errors import HemAnswerFault, HemConnectionError, HemOperationFailed
from hem_provider.rest.encoding import unb64

KEY = unb64("T61jY1AgV5XUW++eAcQibRDFOl5KjKwLGdo+U0def8A=")
SAMPLE = (
    b"# Encedo HEM v0.9.77\r\n"
    b"0|62310ba5|0|0|NgPWx9MnmngrKa7xkSuQnDcwBlDV5JeR0OoX6gFyMpo|sMfJhY2jjkQLb7dVGlWf_GynEOTZVh5tO33k8Iq5"
    b"2jB0CAECs1ysU3NenhlmWBWyTo1XEaqL-ysBVB7quNHDBA|XEwWbRXrh65JPjAjb-9bwg\r\n"
    b"1|62310ba5|1|0|||rfB1gKL0hTi5tGh8PDerAA\r\n"
    b"2|62310ba5|7|0|||dsutQDgmuLtecPIwPDctdA\r\n"
    b"3|62310ba5|13|0||NQsxYg|bODm1bUzTiX6qS7LheDJFA\r\n"
    b"4|62310ba6|1d|0|M||9b_vMf0QXC-qEhi-kQ4zpg\r\n"
    b"5|62310bdd|12|0|U||Rhwgm9ZQx-RGfrjESNxhDQ\r\n"
    b"6|62310c0c|2|0|U||IhCfo8F_OHBLhgOGXE5vPA\r\n"
)
LINES = SAMPLE.split(b"\r\n")


def test_the_published_sample_is_genuine_line_by_line():
    report = verify_log(SAMPLE, KEY)
    assert report.problems == ()
    assert all(record.genuine for record in report.records)
    assert report.firmware == "Encedo HEM v0.9.77"
    assert [record.event for record in report.records] == [
        Event.KEY_INIT,
        Event.STARTUP,
        Event.SELFTEST_PASSED,
        Event.RTC_SET,
        Event.DEVICE_INITED,
        Event.CONFIG_UPDATED,
        Event.REBOOT,
    ]
    assert {record.result for record in report.records} == {Result.OK}
    assert [record.actor for record in report.records][4:] == ["M", "U", "U"]
    assert report.records[3].time == 0x62310BA5


def test_another_devices_key_vouches_for_nothing():
    report = verify_log(SAMPLE, bytes(31) + b"\x01")
    assert not any(record.genuine for record in report.records)
    assert "not signed by the device's log key" in report.problems[0]


def test_a_removed_line_shows_as_a_gap():
    report = verify_log(b"\r\n".join(LINES[:4] + LINES[5:]), KEY)
    assert report.problems == ("line 5: number 4 follows 2",)


def test_a_file_without_its_beginning_cannot_be_verified():
    report = verify_log(b"\r\n".join(LINES[3:]), KEY)
    assert not any(record.genuine for record in report.records)
    assert report.problems == (
        "line 1: the file begins with number 2",
        "no MAC key: nothing could be verified",
    )
    assert verify_log(b"\r\n".join(LINES[2:]), KEY).problems == ("no MAC key: nothing could be verified",)
    assert verify_log(b"", KEY).problems == ("no records",)


@pytest.mark.parametrize("number", [b"-1", b"0", b"+0", b"0_0", b" 0", b"0" * 17, "٠".encode()])
def test_a_line_before_the_mac_key_is_vouched_for_by_nothing(number):
    forged = number + b"|6b09d4e1|d|0|U|forged|AAAA"
    report = verify_log(b"\r\n".join([LINES[0], forged, *LINES[1:]]), KEY)
    first = "stands before the MAC key, so that nothing vouches for it" if number == b"0" else "not a record"
    assert report.problems[0] == f"line 2: {first}"
    assert all(each.genuine for each in report.records if each.line != 2)


@pytest.mark.parametrize("field", range(4))
def test_numbers_without_end_are_no_record(field):
    fields = LINES[3].split(b"|")
    fields[field] = b"f" * 5000
    report = verify_log(b"\r\n".join([*LINES[:3], b"|".join(fields), *LINES[4:]]), KEY)
    assert "line 4: not a record" in report.problems


@given(place=st.integers(len(LINES[0]) + 2, len(SAMPLE) - 3), value=st.integers(0, 255))
def test_any_changed_byte_of_a_record_is_found(place, value):
    changed = SAMPLE[:place] + bytes([value]) + SAMPLE[place + 1 :]
    if changed == SAMPLE or SAMPLE[place : place + 1] in b"\r\n":
        return
    report = verify_log(changed, KEY)
    # The last character of a MAC's unpadded base64 text has bits that say nothing.
    end_of_mac = SAMPLE[place + 1 : place + 2] == b"\r"
    assert report.problems or end_of_mac


@given(st.binary(max_size=300))
def test_any_file_gets_a_report(content):
    assert verify_log(content, KEY).problems or content == SAMPLE


def test_a_devices_own_files_are_genuine(hem, rig):
    key = hem.keys.create("ED25519", label="k")
    hem.sign(key.kid, b"data", "Ed25519")
    rig.reboot()
    newest, current = hem.audit.files()[-2:]
    report = hem.audit.verify(newest)
    assert report.problems == ()
    events = [record.event for record in report.records]
    assert Event.KEY_GENERATION in events
    assert Event.CRYPTO_EXDSA_SIGN in events
    with pytest.raises(HemOperationFailed, match="being written"):
        hem.audit.read(current)
    assert hem.audit.verify(newest, key=bytes(31) + b"\x01").problems


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("garbage", "24 bytes of text/html; accepted: a log file, text/plain"),
        ("fieldless", "2 bytes of application/json; accepted: a log file, text/plain"),
        ("empty", "0 bytes of text/plain; accepted: a log file, text/plain"),
    ],
)
def test_what_is_no_log_file_is_not_taken_for_one(hem, rig, fault, told):
    rig.reboot()
    file = hem.audit.files()[-2]
    rig.order(name=fault, endpoint=f"GET /api/logger/{file}")
    with pytest.raises(HemAnswerFault, match=told):
        hem.audit.read(file)


def test_a_log_file_that_is_cut_on_its_way_is_not_taken_for_it(hem, rig):
    rig.reboot()
    file = hem.audit.files()[-2]
    whole = hem.audit.read(file)
    rig.order(name="truncate", endpoint=f"GET /api/logger/{file}", count=1)
    assert hem.audit.read(file) == whole  # it was asked for once more
    rig.order(name="truncate", endpoint=f"GET /api/logger/{file}")
    with pytest.raises(HemConnectionError, match="the connection was lost|cut short"):
        hem.audit.read(file)


def test_more_files_than_a_page_are_all_listed(hem, monkeypatch):
    ids = tuple(f"{number:08x}" for number in range(300))

    def page(call):
        offset = call.asked.offset
        return ids[offset : offset + 128], len(ids)

    monkeypatch.setattr(hem.session, "run", page)
    assert hem.audit.files() == list(ids)
