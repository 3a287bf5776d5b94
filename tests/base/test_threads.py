"""Threads of the package: they take no signals, and there are none where the program forbids them."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from hem_provider import threads

ROOT = Path(__file__).parents[2]


def test_a_thread_takes_no_signal_and_whoever_begins_it_takes_them_as_before():
    before, masks = signal.pthread_sigmask(signal.SIG_BLOCK, []), []
    thread = threads.begin_thread(lambda: masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, [])), "tried")
    assert thread is not None
    thread.join()
    assert (thread.name, thread.daemon) == ("tried", True)
    assert {signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1, signal.SIGPROF} <= masks[0]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_a_signal_to_the_process_comes_while_the_thread_works():
    heard, over = [], threading.Event()
    former = signal.signal(signal.SIGUSR1, lambda *_: heard.append(threading.current_thread()))
    try:
        thread = threads.begin_thread(over.wait, "tried")
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(0)
        over.set()
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, former)
    assert heard == [threading.main_thread()]


@pytest.mark.parametrize("why", ["forbidden", "none left"])
def test_there_is_none_where_none_may_or_can_be(monkeypatch, why):
    def none_left(thread):
        raise RuntimeError("can't start new thread")

    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    if why == "forbidden":
        monkeypatch.setattr(threads, "_allowed", False)
    else:
        monkeypatch.setattr(threading.Thread, "start", none_left)
    assert threads.begin_thread(pytest.fail, "tried") is None
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_libraries_begin_threads_in_one_place():
    made = [
        str(path.relative_to(ROOT))
        for folder in ("hem_provider", "shim/hem_pkcs11")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "threading.Thread(" in path.read_text("utf-8")
    ]
    daemons = ("emulator", "cli", "agent", "exporter", "adapters/scdaemon")  # programs of their own
    own = tuple(f"hem_provider/{each}/" for each in daemons)
    assert [each for each in made if not each.startswith(own)] == ["hem_provider/threads.py"]
