"""Waiting for a signal: none is lost, and nothing of it stays."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from hem_provider.cli.stopping import ENDING, signalled

HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1)


@pytest.fixture(autouse=True)
def nothing_stays():
    """Handlers and the wakeup descriptor are as before after each test."""

    def state():
        fd = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(fd)
        return fd, [signal.getsignal(each) for each in HANDLED]

    before = state()
    yield
    assert state() == before


@pytest.mark.parametrize("number", ENDING)
def test_one_that_came_before_the_wait_ends_it(number):
    with signalled() as wait:
        os.kill(os.getpid(), number)
        assert wait() is number


def test_one_that_comes_while_it_waits_ends_it():
    with signalled() as wait:
        later = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM))
        later.start()
        assert wait() is signal.SIGTERM
        later.join()


def test_they_are_told_in_order_and_others_are_not_told():
    former = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with signalled(signal.SIGHUP, signal.SIGCHLD) as wait:
            for each in (signal.SIGCHLD, signal.SIGUSR1, signal.SIGHUP):
                os.kill(os.getpid(), each)
            assert [wait(), wait()] == [signal.SIGCHLD, signal.SIGHUP]
    finally:
        signal.signal(signal.SIGUSR1, former)


def test_an_error_meanwhile_gives_the_handlers_back():
    with pytest.raises(OSError, match="no room"), signalled():
        raise OSError("no room")
