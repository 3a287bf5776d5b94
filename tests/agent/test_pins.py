"""PINs are compared by MAC, slowed down when wrong, and at last not at all."""

from __future__ import annotations

import asyncio

import pytest

from hem_provider.agent.pins import MOST_WRONG, PinCheck

KEY, MAC = bytes(32), bytes(range(32))


def test_the_right_one_is_right_and_ends_the_counting():
    pins = PinCheck(KEY, MAC)
    assert not pins.is_right(bytes(32))
    assert pins.wrong == 1
    assert pins.is_right(MAC)
    assert (pins.wrong, pins.pause) == (0, 0.0)


def test_each_wrong_one_waits_longer_and_ten_are_too_many():
    pins, pauses = PinCheck(KEY, MAC), []
    for _ in range(MOST_WRONG):
        assert not pins.exhausted
        pins.is_right(b"x" * 32)
        pauses.append(pins.pause)
    assert pins.exhausted
    assert pauses == sorted(pauses)
    assert pauses[:3] == [0.25, 0.5, 1.0]
    assert pauses[-1] == 8.0


def test_who_waits_is_answered_when_the_comparing_ends():
    async def waiting():
        pins = PinCheck(KEY, MAC)
        for _ in range(MOST_WRONG):
            pins.is_right(b"x" * 32)
        waits = asyncio.create_task(pins.wait())
        await asyncio.sleep(0.05)
        assert not waits.done()
        pins.end()
        await asyncio.wait_for(waits, pins.pause / 2)

    asyncio.run(waiting())


@pytest.mark.parametrize(("key", "mac"), [(b"", MAC), (KEY, MAC[:31]), (KEY + b"x", MAC)])
def test_sizes_are_32_bytes(key, mac):
    with pytest.raises(ValueError, match="accepted: 32"):
        PinCheck(key, mac)


def test_it_does_not_show_them():
    assert repr(PinCheck(KEY, MAC)) == "<PinCheck, 0 wrong>"
