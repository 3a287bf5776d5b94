"""One collection for however many ask, and none between."""

from __future__ import annotations

import threading

import pytest

from hem_provider.exporter.kept import Kept


class Slow:
    """A collection that ends when it is let go."""

    def __init__(self):
        self.calls = 0
        self.going = threading.Semaphore(0)

    def __call__(self):
        self.calls += 1
        number = self.calls
        assert self.going.acquire(timeout=30)
        return number


def test_what_is_kept_is_told_until_it_is_as_old_as_the_interval(hours):
    calls = []
    kept = Kept("k", lambda: calls.append(1) or len(calls), 30, hours)
    assert [kept.get(5) for _ in range(4)] == [1, 1, 1, 1]
    hours.pass_by(29.9)
    assert kept.get(5) == 1
    hours.pass_by(0.2)
    assert kept.get(5) == 2
    assert kept.collections == len(calls) == 2


def test_many_who_ask_at_once_wait_for_one_collection():
    slow, kept = Slow(), None
    kept = Kept("k", slow, 30)
    found = []
    threads = [threading.Thread(target=lambda: found.append(kept.get(30))) for _ in range(50)]
    for each in threads:
        each.start()
    slow.going.release()
    for each in threads:
        each.join()
    assert found == [1] * 50
    assert slow.calls == 1


def test_nobody_waits_longer_than_asked_and_what_was_kept_is_told_meanwhile(hours):
    slow = Slow()
    kept = Kept("k", slow, 30, hours)
    assert kept.get(0.01) is None  # nothing was known before
    slow.going.release()
    assert kept.get(30) == 1
    hours.pass_by(31)
    assert kept.get(0.01) == 1  # the second is under way
    hours.pass_by(58)
    assert kept.get(0.01) == 1
    hours.pass_by(2)
    assert kept.get(0.01) is None  # three intervals are over: it is no longer told as true
    assert slow.calls == 2
    slow.going.release()
    assert kept.get(30) == 2


def test_a_short_interval_lets_a_slow_device_be_told_of_for_a_minute(hours):
    slow = Slow()
    kept = Kept("k", slow, 1, hours)
    slow.going.release()
    assert kept.get(30) == 1
    hours.pass_by(59)
    assert kept.get(0.01) == 1
    hours.pass_by(2)
    assert kept.get(0.01) is None
    slow.going.release()


def test_a_fault_of_ours_is_told_and_tried_again_after_the_interval(hours, caplog):
    def fail():
        raise ValueError("with a secret")

    kept = Kept("device k", fail, 30, hours)
    assert kept.get(30) is None
    assert kept.get(30) is None
    assert kept.collections == 1
    assert caplog.messages == ["device k: the collection failed: ValueError"]
    hours.pass_by(31)
    assert kept.get(30) is None
    assert kept.collections == 2


@pytest.mark.parametrize("count", [1, 3])
def test_nothing_runs_between_two_questions(count):
    before = threading.active_count()
    kept = Kept("k", lambda: 1, 0.001)
    for _ in range(count):
        assert kept.get(30) == 1
    for each in threading.enumerate():
        if each.name.startswith("hem exporter"):
            each.join(30)
    assert threading.active_count() == before
