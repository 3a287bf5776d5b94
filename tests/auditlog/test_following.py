"""New events as they come: from a copy at no call, from a device at one a look."""

from __future__ import annotations

import pytest

from hem_provider.auditlog.following import CopyFollower, DeviceFollower
from hem_provider.auditlog.telling import told
from hem_provider.errors import HemUnreachable


def names(entries):
    return [told(each, {}).name for each in entries]


@pytest.fixture
def look(device):
    """What is new at the device."""

    def look(follower):
        follower.new(device)
        return names(follower.taken())

    return look


def test_of_a_copy_what_is_new_is_told_once(device, copy, collect):
    device.start()
    device.log(event=0x20, actor="U")
    device.start()
    collect()
    device.calls.clear()
    follower, all_of_it = CopyFollower(copy, None), CopyFollower(copy, 0)
    assert names(follower.new()) == []
    assert names(all_of_it.new()) == ["KEY_INIT", "STARTUP", "STARTUP", "CRYPTO_EXDSA_SIGN"]
    assert names(all_of_it.new()) == []
    assert device.calls == []
    device.start()
    collect()
    for each in (follower, all_of_it):
        assert names(each.new()) == ["KEY_INIT", "STARTUP", "STARTUP"]


def test_what_happened_before_a_moment_is_left_out(device, copy, collect):
    device.start()
    device.now += 1000
    device.log(event=2)
    device.start()
    collect()
    assert names(CopyFollower(copy, device.now).new()) == ["REBOOT"]
    assert names(CopyFollower(copy, device.now + 1).new()) == []


def test_of_a_device_what_is_new_is_told_once_at_a_call_a_look(device, look):
    device.start(), device.start()
    follower = DeviceFollower(None)
    assert look(follower) == []
    assert follower.shut
    device.calls.clear()
    assert look(follower) == []
    assert device.calls == ["list"]
    device.start()
    assert look(follower) == ["KEY_INIT", "STARTUP", "STARTUP"]
    assert look(follower) == []


def test_of_a_device_that_shows_the_file_being_written_events_come_at_once(device, look):
    device.shown = True
    device.start()
    follower = DeviceFollower(None)
    look(follower)
    device.log(event=0x20)
    assert look(follower) == ["CRYPTO_EXDSA_SIGN"]
    assert not follower.shut


def test_only_files_that_were_written_since_then_are_read(device, look):
    for _ in range(4):
        device.start()
        device.now += 1000
    _, second, third, _ = sorted(device.files)
    follower = DeviceFollower(int(third, 16) + 0.5)
    assert look(follower) == []
    assert (
        device.calls.count("read") == 2
    )  # the third, in which it may have happened, and the one being written
    follower = DeviceFollower(int(second, 16))
    assert look(follower) == ["KEY_INIT", "STARTUP", "STARTUP"] * 2


def test_a_device_that_is_away_is_told_once_and_when_it_is_back(device, look):
    device.start(), device.start()
    follower = DeviceFollower(None)
    look(follower)
    device.error = HemUnreachable("hem: away")
    for expected in (["device-away"], []):
        with pytest.raises(HemUnreachable):
            follower.new(device)
        assert names(follower.taken()) == expected
    device.error = None
    assert look(follower) == ["device-back"]


def test_an_entry_is_told_in_words_and_moves_no_cursor(device, copy, collect):
    device.start()
    device.log(event=0x20, result=1, actor="U", data="ab" * 16)
    device.files[max(device.files)] += b"GET /\x1b[2J\xff\r\n"
    device.start()
    collect()
    events = [told(each, {"ab" * 16: "web"}) for each in CopyFollower(copy, 0).new()]
    signed, odd, noticed = events[-3:]
    assert (signed.told.who, signed.told.what, signed.told.key, signed.told.result) == (
        "user",
        "signed",
        "web",
        "failed",
    )
    assert (signed.kid, signed.genuine, signed.document()["event"]) == ("ab" * 16, True, 0x20)
    assert odd.told.what == "GET /?[2J\ufffd"
    assert (odd.name, odd.genuine, odd.document()["time"]) == ("line", False, None)
    assert (noticed.name, noticed.told.who, noticed.told.result) == ("bad-line", "hem", "noticed")
    assert noticed.told.what.startswith("line 6: not a record (")
