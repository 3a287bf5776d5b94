"""Looking again and again until time is over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clocks import Clock as Hand

from hem_provider.waiting import Clock

SECONDS = st.floats(0, 1000)


class Waited:
    """A clock of a test that writes down the pauses."""

    def __init__(self) -> None:
        self.hand = Hand(0.0)
        self.pauses: list[float] = []
        self.clock = Clock(self.hand, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.hand.advance(seconds)


def test_it_is_looked_at_once_then_after_each_pause_and_once_more_at_the_end():
    waited = Waited()
    at = [waited.hand.now for _ in waited.clock.looks(10, 4)]
    assert at == [0, 4, 8, 10]
    assert waited.pauses == [4, 4, 2]


def test_without_time_there_is_one_look_and_no_pause():
    for seconds in (0, -5):
        waited = Waited()
        assert len(list(waited.clock.looks(seconds, 4))) == 1
        assert waited.pauses == []


def test_each_look_is_told_what_is_left():
    assert list(Waited().clock.looks(10, 4)) == [10, 6, 2, 0]


def test_who_has_seen_it_waits_no_longer():
    waited = Waited()
    next(waited.clock.looks(10, 4))
    assert waited.pauses == []


def test_after_a_look_that_took_all_the_time_there_is_a_last_one_at_once():
    waited = Waited()
    looks = 0
    for _ in waited.clock.looks(10, 4):
        looks += 1
        waited.hand.advance(30)
    assert looks == 2
    assert sum(waited.pauses) == 0


@given(seconds=SECONDS, pause=st.floats(0.5, 50), look=st.floats(0, 50))
def test_no_pause_reaches_beyond_the_end_and_the_last_look_is_not_before_it(seconds, pause, look):
    waited = Waited()
    begun = []
    for _ in waited.clock.looks(seconds, pause):
        begun.append(waited.hand.now)
        waited.hand.advance(look)
    assert begun[-1] >= seconds > max(begun[:-1], default=-1)
    assert all(each + look + length <= max(seconds, each + look) + 1e-9
               for each, length in zip(begun, waited.pauses, strict=False))  # fmt: skip


def test_pauses_that_grow_double_up_to_the_longest_and_differ_by_chance(monkeypatch):
    for byte, factor in ((0, 0.5), (128, 1.0)):
        monkeypatch.setattr("os.urandom", lambda _, byte=byte: bytes([byte]))
        waited = Waited()
        looks = waited.clock.looks(1000, 1, 5)
        for _ in range(6):
            next(looks)
        assert waited.pauses == pytest.approx([factor * each for each in (1, 2, 4, 5, 5)])
