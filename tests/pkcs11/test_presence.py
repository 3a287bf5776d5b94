"""Many slots, one of whose devices takes long to say anything: it delays the others for a moment, once."""

from __future__ import annotations

import threading
import time

import pytest
from hem_pkcs11 import presence
from hem_pkcs11.presence import Presence, present_ones
from hem_pkcs11.slots import Slot

from hem_provider import threads
from hem_provider.config import DeviceConfig
from hem_provider.errors import HemConnectionError


class Device:
    """Answers at once, fails, or waits until it is let go."""

    is_emulator = agent_ready = False
    identity = glimpse = None

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.dead = False
        self.asked = 0

    def recall(self):
        return self.glimpse

    def probe(self) -> None:
        self.asked += 1
        self.free.wait(30)
        if self.dead:
            raise HemConnectionError("gone")


@pytest.fixture
def devices(monkeypatch):
    monkeypatch.setattr(presence, "WAIT_KNOWN", 0.2)
    monkeypatch.setattr(presence, "WAIT_UNKNOWN", 0.6)
    found = [Device() for _ in range(4)]
    yield found
    for each in found:
        each.free.set()


@pytest.fixture
def slots(devices):
    return [
        Presence(number, f"d{number}", threading.RLock(), lambda each=each: each)
        for number, each in enumerate(devices)
    ]


def look(slots):
    began = time.monotonic()
    return [each.number for each in present_ones(slots)], time.monotonic() - began


def age(slots):
    """What is remembered is too old by now."""
    for each in slots:
        each._probed -= 100


def test_a_device_that_hangs_is_what_it_was_before_and_waited_for_once(devices, slots):
    assert look(slots)[0] == [0, 1, 2, 3]
    devices[2].free.clear()
    age(slots)
    there, took = look(slots)
    assert there == [0, 1, 2, 3]
    assert 0.15 < took < 0.5
    for _ in range(3):
        age([slots[0], slots[1], slots[3]])
        assert look(slots)[0] == [0, 1, 2, 3]
        began = time.monotonic()
        assert slots[2].present()  # C_GetTokenInfo
        assert time.monotonic() - began < 0.1
    assert look(slots)[1] < 0.1
    assert devices[2].asked == 2
    devices[2].dead = True
    devices[2].free.set()
    ends = time.monotonic() + 10
    while look(slots)[0] != [0, 1, 3]:
        assert time.monotonic() < ends


def test_what_a_slot_and_its_token_are_is_told_while_the_device_hangs(devices):
    slots = [
        Slot(number, DeviceConfig(url="https://a.example"), lambda _, each=each: each)
        for number, each in enumerate(devices)
    ]
    asked = [each.presence for each in slots]
    assert len(present_ones(asked)) == 4
    devices[1].free.clear()
    age(asked)
    assert len(present_ones(asked)) == 4
    began = time.monotonic()
    for each in slots:
        assert each.token_info(0, 0).serial == ""
        each.info()
    assert time.monotonic() - began < 0.2


def test_a_device_that_hangs_from_the_start_is_absent_until_it_answers(devices, slots):
    devices[0].free.clear()
    there, took = look(slots)
    assert there == [1, 2, 3]
    assert 0.5 < took < 1.5
    assert look(slots)[1] < 0.1
    devices[0].free.set()
    ends = time.monotonic() + 10
    while look(slots)[0] != [0, 1, 2, 3]:
        assert time.monotonic() < ends


def test_dead_devices_are_absent_and_all_are_asked_at_once(devices, slots):
    devices[1].dead = True
    for each in devices:
        each.probe = lambda probe=each.probe: (time.sleep(0.2), probe())
    there, took = look(slots)
    assert there == [0, 2, 3]
    assert took < 0.5


def test_one_device_alone_is_waited_for(devices, slots):
    devices[0].free.clear()
    threading.Timer(1.0, devices[0].free.set).start()
    assert look(slots[:1]) == ([0], pytest.approx(1.0, abs=0.4))


def test_without_threads_they_are_asked_one_after_another(devices, slots, monkeypatch):
    monkeypatch.setattr(threads, "_allowed", False)
    monkeypatch.setattr(threading.Thread, "start", lambda _: pytest.fail("a thread"))
    devices[3].dead = True
    assert look(slots)[0] == [0, 1, 2]


def test_the_first_look_of_a_process_is_at_what_others_saw_just_now(devices, slots):
    devices[0].glimpse = "seen"
    one = slots[0]
    assert one.present()
    assert (devices[0].asked, one.glimpse) == (0, "seen")
    age(slots)
    devices[0].dead = True
    one.doubt()
    assert not one.present()  # from then on it is the device that is asked
    assert (devices[0].asked, one.glimpse) == (1, None)


def test_a_device_that_is_doubted_is_asked_whatever_others_saw(devices, slots):
    devices[0].glimpse = "seen"
    slots[0].doubt()
    assert slots[0].present()
    assert devices[0].asked == 1
