"""Whose turn it is: first come, first served, among threads and among processes, whatever becomes of them."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from hem_provider.errors import HemTimeout
from hem_provider.files import places, runtime_folder
from hem_provider.rest import fairlock, linefile, turns
from hem_provider.rest import line as lines
from hem_provider.rest.fairlock import FairLock
from hem_provider.rest.line import Place
from hem_provider.rest.turns import turn

URL = "https://device.example"
#: Seconds: what no test may come near, and a limit that is to be met.
MUCH, SHORT = 60.0, 0.5

#: A process that takes a turn for each line it reads, says so, and keeps it until the next line.
PROCESS = """
import os, sys
from hem_provider.rest.turns import turn
url, seconds, fork = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
for _ in sys.stdin:
    with turn(url, where="", timeout=seconds, spacing=0, among_processes=True):
        if fork:
            ours, parents = os.pipe()
            if os.fork() == 0:
                os.close(parents)
                os.read(ours, 1)  # until the parent has ended
                os._exit(0)
        print("held", flush=True)
        sys.stdin.readline()
    print("left", flush=True)
"""


class Process:
    """One of the processes of a user."""

    def __init__(self, turn_timeout=MUCH, *arguments):
        command = [sys.executable, "-c", PROCESS, URL, str(turn_timeout), *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self):
        """Come into line, or give the turn back."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def says(self, word):
        assert self.process.stdout.readline() == f"{word}\n"

    def signal(self, number):
        os.kill(self.process.pid, number)

    def end(self):
        with self.process:
            self.process.kill()


@pytest.fixture
def start(monkeypatch, tmp_path):
    """Makes processes, which end with the test."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(each for each in sys.path if each))
    monkeypatch.setattr(turns, "_lines", turns.PerProcess(dict))
    made = []

    def make(*arguments):
        made.append(Process(*arguments))
        return made[-1]

    yield make
    for each in made:
        each.end()


@contextmanager
def held(turn_timeout=MUCH, **more):
    options = {"where": "", "timeout": turn_timeout, "spacing": 0, "among_processes": True}
    with turn(URL, **{**options, **more}):
        yield


def path():
    name = turns._Line(URL)._file
    return Path(runtime_folder(), name)


def waiting():
    """How many the file names."""
    data = path().read_bytes() if path().exists() else b""
    return linefile.HEAD.unpack_from(data)[1] if data else 0


def until(condition):
    end = time.monotonic() + MUCH
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_processes_are_served_in_the_order_of_asking(start):
    processes = [start() for _ in range(5)]
    for order in (processes, processes[::-1]):
        with held():
            for number, each in enumerate(order, 2):
                each.ask()
                until(lambda number=number: waiting() == number)
        for each in order:
            each.says("held")  # were another before it, this would wait in vain
            each.ask()
            each.says("left")


def test_threads_are_served_in_the_order_of_asking():
    lock, order, threads = FairLock(), [], []
    assert lock.acquire(0)
    for number in range(20):

        def work(number=number):
            assert lock.acquire(MUCH)
            order.append(number)
            lock.release()

        threads.append(threading.Thread(target=work))
        threads[-1].start()
        until(lambda number=number: len(lock._waiting) == number + 1)
    lock.release()
    for each in threads:
        each.join(MUCH)
    assert order == list(range(20))
    assert not lock.locked()


@pytest.mark.parametrize("how", ["under_way", "release", "not at all"])
def test_who_releases_stands_back_until_the_next_is_under_way(how, monkeypatch):
    monkeypatch.setattr(fairlock, "_STANDS_BACK", SHORT if how == "not at all" else MUCH)
    lock, goes, has = FairLock(), threading.Event(), threading.Event()

    def work():
        assert lock.acquire(MUCH)
        has.set()
        goes.wait(MUCH)
        if how != "not at all":
            getattr(lock, how)()

    assert lock.acquire(0)
    follower = threading.Thread(target=work)
    follower.start()
    until(lambda: lock._waiting)
    former = threading.Thread(target=lock.release)
    former.start()
    assert has.wait(MUCH)
    if how != "not at all":
        former.join(0.05)
        assert former.is_alive()
        goes.set()
    former.join(MUCH / 2)
    assert not former.is_alive()
    goes.set()
    follower.join(MUCH)


def test_a_thread_that_gives_up_is_no_longer_in_line():
    lock = FairLock()
    assert lock.acquire(0)
    assert not lock.acquire(0.01)
    lock.release()
    assert lock.acquire(0)
    lock.release()
    assert not lock.locked()


def test_a_thread_whose_turn_does_not_come_is_told_that_nothing_was_sent(start, monkeypatch):
    monkeypatch.setattr(turns, "_PATIENCE", 0.01)
    options = {"where": "GET /x", "timeout": 1, "spacing": 0, "among_processes": False}
    with (
        turn(URL, **options),
        pytest.raises(HemTimeout, match=r"GET /x: .*busy.*0\.01 s \(nothing was sent\)"),
    ):
        with turn(URL, **options):
            pass
    process = start()
    process.ask()
    process.says("held")
    with pytest.raises(HemTimeout, match="nothing was sent"), held(1):
        pass


def test_a_stopped_process_holds_the_others_up_once(start, caplog):
    stopped = start()
    stopped.ask()
    stopped.says("held")
    stopped.signal(signal.SIGSTOP)
    before = time.monotonic()
    with held(SHORT):
        pass
    assert time.monotonic() - before >= SHORT * 0.9
    assert "another process has kept the device" in caplog.text
    caplog.clear()
    for _ in range(5):
        with held(MUCH):
            pass
    assert not caplog.records  # it was not waited for again
    stopped.signal(signal.SIGCONT)
    stopped.ask()
    stopped.says("left")
    with held():  # it shows life: it is in line as any other
        stopped.ask()
        until(lambda: waiting() == 2)
    stopped.says("held")
    assert not caplog.records


def test_a_process_that_is_stopped_in_line_holds_the_others_up_once(start, caplog):
    first, stopped = start(), start(SHORT)
    first.ask()
    first.says("held")
    stopped.ask()
    until(lambda: waiting() == 2)
    stopped.signal(signal.SIGSTOP)
    first.ask()
    first.says("left")
    with held(SHORT):
        assert "another process has kept the device" in caplog.text
        stopped.signal(signal.SIGCONT)  # and comes in again, behind
        until(lambda: waiting() == 2)
    stopped.says("held")


def test_a_turn_that_may_last_long_is_not_passed_before(start, caplog):
    place = Place(str(path()), patience=MUCH, lasting=MUCH)
    assert place.wait(MUCH)
    other = Place(str(path()), patience=0.01)
    assert not other.wait(SHORT)
    other.leave()
    place.leave()
    assert not caplog.records


@pytest.mark.parametrize("whom", ["who has the turn", "who waits"])
def test_a_process_that_is_killed_holds_nobody_up(start, whom, caplog):
    first, second = start(), start()
    first.ask()
    first.says("held")
    second.ask()
    until(lambda: waiting() == 2)
    if whom == "who waits":
        second.signal(signal.SIGKILL)
        second.process.wait()
        first.ask()
        first.says("left")
    else:
        first.signal(signal.SIGKILL)
        second.says("held")
        second.ask()
        second.says("left")
    with held():
        pass
    assert not caplog.records
    assert [each.name for each in path().parent.iterdir()] == [path().name]  # no pipe is left behind


def test_a_child_that_was_forked_during_a_turn_does_not_keep_it(start, caplog):
    parent = start(MUCH, "fork")
    parent.ask()
    parent.says("held")
    parent.ask()
    parent.says("left")
    with held():
        pass
    assert not caplog.records


def test_a_line_that_somebody_keeps_locked_is_replaced_once(start, caplog):
    with held():
        pass
    keeper = os.open(path(), os.O_RDWR)
    assert lines._CONTENT.take(keeper)
    with held(SHORT):
        assert "another process has kept the device" in caplog.text
    caplog.clear()
    with held():
        pass
    assert not caplog.records
    os.close(keeper)
    assert [each.name for each in path().parent.iterdir()] == [path().name]


def test_who_waits_follows_into_a_new_line(start):
    process = start()
    with held():
        process.ask()
        until(lambda: waiting() == 2)
        path().unlink()
        with Place_at_the_front():
            until(lambda: waiting() == 2)
    process.says("held")


@contextmanager
def Place_at_the_front():  # noqa: N802
    place = Place(str(path()), patience=MUCH)
    place.wait(MUCH)
    yield
    place.leave()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"x" * 10_000,
        linefile.HEAD.pack(linefile.MAGIC, 2**63, 0, 0),
        linefile.HEAD.pack(linefile.MAGIC, 3, 9e99, 9e99),
    ],
)
def test_a_file_that_is_no_line_becomes_one(start, content, caplog):
    path().write_bytes(content)
    with held():
        assert waiting() == 1
    process = start()
    process.ask()
    process.says("held")
    assert not caplog.records


def test_a_line_as_long_as_the_file_takes_more_when_there_is_room(start):
    dead = [linefile.ENTRY.pack(ticket, 0.0, False) for ticket in range(linefile.MOST)]
    path().write_bytes(linefile.HEAD.pack(linefile.MAGIC, len(dead), time.monotonic(), 0.0) + b"".join(dead))
    with held():
        assert waiting() == 1


def test_without_pipes_the_others_are_looked_for_more_often(start, monkeypatch):
    def refuse(*_):
        raise PermissionError("no pipes here")

    monkeypatch.setattr(os, "mkfifo", refuse)
    process = start()
    process.ask()
    process.says("held")
    threading.Timer(0.1, process.ask).start()
    with held():
        process.says("left")


@pytest.mark.parametrize("why", ["no folder", "a full disk", "a file system without locks"])
def test_where_there_can_be_no_line_it_is_told_once(start, why, monkeypatch, caplog, tmp_path):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    if why == "no folder":
        (tmp_path / "hem").write_text("in the way")
    else:
        monkeypatch.setattr(*((os, "pwrite") if why == "a full disk" else (fcntl, "fcntl")), refuse)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            with held():
                pass
    assert [each.levelname for each in caplog.records] == ["WARNING"]
    assert "no order among processes" in caplog.text


def test_a_runtime_folder_that_is_relative_or_not_there_is_no_place(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    seen = []
    monkeypatch.setattr(places, "_private", lambda path: seen.append(path))
    monkeypatch.setattr(places, "_RUNTIME_HOMES", str(tmp_path / "users"))
    for given in ("run", "./run", "", str(tmp_path / "gone")):
        monkeypatch.setenv("XDG_RUNTIME_DIR", given)
        runtime_folder()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    runtime_folder()
    assert seen == [f"/tmp/hem-{os.getuid()}"] * 4 + [f"{tmp_path}/hem"]


def test_without_the_variable_the_systems_folder_of_this_user_is_taken(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr(places, "_RUNTIME_HOMES", str(tmp_path))
    (tmp_path / str(os.geteuid())).mkdir(mode=0o700)
    assert runtime_folder() == f"{tmp_path}/{os.geteuid()}/hem"


def test_processes_keep_the_distance_that_the_device_wants(start):
    ended = []
    for _ in range(3):
        turns._lines.get().clear()  # as another process would
        with held(spacing=0.2):
            ended.append(time.monotonic())
    assert ended[1] - ended[0] >= 0.2 <= ended[2] - ended[1]


def test_no_two_have_the_turn_at_once(start, tmp_path):
    """Four processes of three threads each, with one that is killed now and then."""
    code = (
        "import os, sys, threading, time\n"
        "from hem_provider.rest.turns import turn\n"
        "def work():\n"
        "    for _ in range(40):\n"
        f"        with turn({URL!r}, where='', timeout=60, spacing=0, among_processes=True):\n"
        "            os.close(os.open(sys.argv[1], os.O_CREAT | os.O_EXCL))\n"
        "            time.sleep(0.0002)\n"
        "            os.unlink(sys.argv[1])\n"
        "threads = [threading.Thread(target=work) for _ in range(3)]\n"
        "[each.start() for each in threads]\n"
        "[each.join() for each in threads]\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "inside")]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    victims = [start() for _ in range(4)]
    for each in victims:
        each.ask()
        each.says("held")
        each.ask()
        each.ask()
        each.says("left")
        each.signal(signal.SIGKILL)  # in line, or with the turn
    assert [each.communicate(timeout=MUCH)[1] for each in running] == [""] * 4


def descriptors():
    """Of this process, of the line's file."""
    found = [os.path.realpath(each) for each in Path("/proc/self/fd").iterdir()]
    return found.count(str(path()))


def test_who_is_alone_changes_nothing_in_the_file_from_turn_to_turn(start, monkeypatch):
    with held():
        pass
    content = path().read_bytes()
    monkeypatch.setattr(os, "pwrite", None)
    for _ in range(3):
        with held():
            assert waiting() == 1
    assert path().read_bytes() == content
    monkeypatch.undo()
    turns.let_go(URL)


def test_a_line_is_let_go_of_when_it_is_closed_and_is_there_again_afterwards(start):
    for _ in range(2):
        with held():
            assert descriptors() == 1
            turns.let_go(URL)  # somebody is in it
        assert descriptors() == 1
        turns.let_go(URL)
        assert descriptors() == 0


def test_a_turn_among_processes_goes_on_with_the_next_thread_while_no_process_waits(start, monkeypatch):
    left, waiters = [], []
    leave = Place.leave
    monkeypatch.setattr(Place, "leave", lambda self, **more: (left.append(1), leave(self, **more)))

    def work():
        with held():
            pass

    def crowd():
        waiters[:] = [threading.Thread(target=work) for _ in range(4)]
        for each in waiters:
            each.start()
        until(lambda: len(turns._lines.get()[URL].lock._waiting) == 4)

    with held():
        crowd()
    for each in waiters:
        each.join(MUCH)
    assert len(left) == 1

    process = start()
    with held():
        crowd()
        process.ask()
        until(lambda: waiting() == 2)
    process.says("held")  # before any of the four
    assert any(each.is_alive() for each in waiters)
    process.ask()
    process.says("left")
    for each in waiters:
        each.join(MUCH)


def test_a_front_is_waited_for_from_when_somebody_waits(start, monkeypatch, caplog):
    """However long it has been there: it may have been alone for many turns."""
    process = start()
    process.ask()
    process.says("held")
    data = bytearray(path().read_bytes())
    magic, count, _, ended = linefile.HEAD.unpack_from(data)
    linefile.HEAD.pack_into(data, 0, magic, count, 0.001, ended)
    path().write_bytes(data)
    threading.Timer(SHORT, process.ask).start()
    with held(4 * SHORT):
        process.says("left")
    assert not caplog.records


def test_a_number_that_is_another_files_by_now_is_left_alone(start, tmp_path):
    """Some hosts close all that is open."""
    with held():
        pass
    number = turns._lines.get()[URL].place._file
    other = tmp_path / "other"
    other.write_bytes(b"not a line")
    os.close(number)
    assert os.dup2(os.open(other, os.O_RDWR), number) == number
    process = start()
    with held():
        process.ask()
        until(lambda: waiting() == 2)
    process.says("held")
    assert other.read_bytes() == b"not a line"
    os.close(number)  # it is open: nobody else has closed it


def test_a_child_that_outlives_its_parent_does_not_keep_the_parents_turn(start, caplog):
    code = (
        "import os, sys, time\n"
        "from hem_provider.rest.turns import turn\n"
        "options = {'where': '', 'timeout': 60, 'spacing': 0, 'among_processes': True}\n"
        f"with turn({URL!r}, **options):\n"
        "    pass\n"
        f"with turn({URL!r}, **options):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        time.sleep(60)\n"
        "    print(child, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        parent.wait(MUCH)
        try:
            with held():  # and not after a minute
                assert not caplog.records
        finally:
            os.kill(child, signal.SIGKILL)
