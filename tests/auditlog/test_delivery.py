"""Entries on their way to receivers that behave: at least once, in order, from where the last way ended."""

from __future__ import annotations

import json
import math
import os
import re
import select
import socket
import subprocess
import threading
import time

import pytest
from support.logcopies import append, filled, line_entry
from support.receivers import Taker

from hem_provider.adapters import jsonlines, syslog
from hem_provider.auditlog.copy import LogCopy
from hem_provider.auditlog.delivery import datagram, forms, shipping
from hem_provider.auditlog.delivery.cursor import Cursor, Position
from hem_provider.auditlog.delivery.datagram import JournalSocket, Udp
from hem_provider.auditlog.delivery.forms import Form
from hem_provider.auditlog.delivery.places import place_of
from hem_provider.auditlog.delivery.shipping import ship
from hem_provider.auditlog.delivery.stream import Stream
from hem_provider.auditlog.delivery.tofile import File
from hem_provider.auditlog.facts import facts_of
from hem_provider.errors import HemConfigError, HemUnreachable
from hem_provider.files import unconfirmed
from hem_provider.waiting import Clock
from tools.servers import free_port

BEGINNING, NUMBER = b'{"entry":', jsonlines.NUMBER


def counted(entry):
    data = syslog.message(facts_of(entry, "office"))
    return b"%d %s" % (len(data), data)


COUNTED = Form(counted, b"", b"", re.compile(b"$^"))
PLAIN = Form(lambda entry: syslog.message(facts_of(entry, "office")), b"", b"", re.compile(b"$^"))
LINES = Form(lambda entry: jsonlines.line(facts_of(entry, "office")) + b"\n", BEGINNING, b"\n", NUMBER)


@pytest.fixture
def copy(tmp_path):
    return filled(tmp_path / "copy", 1000)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(shipping, "_PAUSES", (0.02, 0.2))


def send(copy, url, *, patience=20.0, stalled=60.0, told=lambda _: None, every=None):
    cursor = Cursor(copy, "tried")
    receiver = Stream(place_of(url), stalled=stalled)
    with cursor.held():
        start = cursor.read()
        return ship(copy, receiver, COUNTED, cursor, start, patience=patience, told=told, every=every)


def test_a_receiver_gets_everything_in_order_and_nothing_twice(copy):
    with Taker() as taker:
        found = send(copy, taker.url)
        assert taker.numbers == list(range(1, 1001))
        assert (found.sent, found.again, found.number) == (1000, 0, 1000)
        assert send(copy, taker.url).sent == 0
        append(copy.folder, [line_entry(b"one more")])
        assert send(copy, taker.url).sent == 1
        taker.wait(1001)
    assert taker.numbers == list(range(1, 1002))


def test_a_slow_receiver_is_waited_for(copy):
    with Taker(pause=0.02, piece=8192, buffer=4096) as taker:
        found = send(copy, taker.url)
    assert taker.numbers == list(range(1, 1001))
    assert found.again == 0


def test_a_receiver_that_takes_nothing_is_tried_anew(copy):
    slept = []

    def behave(taker, connection, _):
        if not slept:
            slept.append(time.sleep(2))

    lines = []
    with Taker(behave=behave, piece=4096, buffer=4096) as taker:
        found = send(copy, taker.url, stalled=0.5, told=lines.append)
    assert sorted(set(taker.numbers)) == list(range(1, 1001))
    assert found.number == 1000
    assert found.again > 0
    assert lines[0] == "the receiver has taken nothing for 0.5 s; waiting for it"
    assert lines[-1] == "it is there again"


def test_a_receiver_that_resets_may_not_have_read_what_its_kernel_confirmed(copy):
    """It is sent again, in order, and the numbers tell what came twice."""

    def behave(taker, connection, count):
        if taker.connections <= 3 and count >= 100:
            del taker.messages[-50:]  # read by its kernel alone, as far as its file is concerned
            taker.reset(connection)

    with Taker(behave=behave, piece=4096) as taker:
        found = send(copy, taker.url)
    assert sorted(set(taker.numbers)) == list(range(1, 1001))
    assert found.number == 1000
    assert taker.connections == 4


def test_a_receiver_that_closes_now_and_then_loses_nothing(copy):
    def behave(taker, connection, count):
        if taker.connections <= 5 and count >= 50:
            connection.close()

    with Taker(behave=behave, piece=4096) as taker:
        send(copy, taker.url)
    assert sorted(set(taker.numbers)) == list(range(1, 1001))
    first_seen = list(dict.fromkeys(taker.numbers))
    assert first_seen == sorted(first_seen)


def test_one_that_reads_to_the_end_and_resets_then_is_not_believed(copy):
    """In the end a receiver has to end as well: a reset says that something was not read."""

    def behave(taker, connection, count):
        if taker.connections == 1 and count == 1000:
            taker.reset(connection)

    with Taker(behave=behave) as taker:
        found = send(copy, taker.url)
    assert taker.connections == 2
    assert taker.numbers[-1] == 1000
    assert found.again > 0


def test_what_is_confirmed_by_nobody_does_not_move_the_cursor(copy):
    """Bytes that were written lie in a buffer; the cursor stays."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    cursor = Cursor(copy, "tried")
    port = listener.getsockname()[1]
    try:
        with pytest.raises(HemUnreachable, match="was away for 1 s: .* has taken nothing for 0.3 s"):
            send(copy, f"tcp://127.0.0.1:{port}", patience=1, stalled=0.3)
    finally:
        listener.close()
    assert cursor.read().number == 0


def test_a_receiver_that_is_away_is_waited_for(copy):
    port = free_port()
    lines = []
    done = []
    thread = threading.Thread(
        target=lambda: done.append(send(copy, f"tcp://127.0.0.1:{port}", told=lines.append))
    )
    thread.start()
    while not lines:
        time.sleep(0.01)
    with Taker(port=port) as taker:
        thread.join(20)
        assert taker.numbers == list(range(1, 1001))
    assert lines == ["Connection refused; waiting for it", "it is there again"]
    assert done[0].again == 0


def test_one_that_stays_away_ends_the_export_and_loses_nothing(copy):
    with pytest.raises(HemUnreachable, match=r"was away for 0.2 s: Connection refused"):
        send(copy, f"tcp://127.0.0.1:{free_port()}", patience=0.2)
    assert Cursor(copy, "tried").read().number == 0


def test_following_sends_what_is_collected_later_and_sees_a_receiver_go_while_nothing_happens(copy):
    port = free_port()
    first = Taker(port=port)
    lines, ends = [], threading.Event()

    def follow():
        with pytest.raises(_Stop):
            send(copy, f"tcp://127.0.0.1:{port}", every=0.05, patience=math.inf, told=told)

    thread = threading.Thread(target=follow, daemon=True)

    def told(line):
        lines.append(line)
        if ends.is_set():
            raise _Stop

    thread.start()
    first.wait(1000)
    append(copy.folder, [line_entry(b"later")])
    first.wait(1001)
    first.close()
    while not lines:
        time.sleep(0.01)
    with Taker(port=port) as second:
        append(copy.folder, [line_entry(b"later still")])
        second.wait(1)
        assert {*first.numbers, *second.numbers} == set(range(1, 1003))
        while lines[-1] != "it is there again":  # else that it goes would be the former absence going on
            time.sleep(0.01)
        ends.set()
    thread.join(20)
    assert not thread.is_alive()


class _Stop(Exception):
    pass


def test_the_kernel_counts_what_a_peer_has_not_confirmed():
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        assert unconfirmed(one.fileno()) == 0
        one.send(b"x" * 100)
        assert unconfirmed(one.fileno()) > 0
        other.recv(1000)
        assert unconfirmed(one.fileno()) == 0


def test_udp_gets_a_datagram_each_and_is_waited_for_where_nobody_listens(copy):
    port = free_port()
    lines = []

    def ship_it():
        receiver = Udp(place_of(f"udp://127.0.0.1:{port}"))
        ship(copy, receiver, PLAIN, None, Position(), patience=20, told=lines.append)

    thread = threading.Thread(target=ship_it)
    thread.start()
    while not lines:
        time.sleep(0.01)
    taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    with taken:
        taken.bind(("127.0.0.1", port))
        found = []
        while thread.is_alive() or select.select([taken], [], [], 0.1)[0]:
            if select.select([taken], [], [], 0.1)[0]:
                found.append(taken.recv(65536))
    assert lines == ["Connection refused; waiting for it", "it is there again"]
    # It may lose; over this loopback with this buffer it does not.
    assert [each[:5] for each in found] == [b"<110>"] * 1000


def test_a_message_that_is_no_datagram_is_refused_with_its_size(tmp_path):
    append(tmp_path / "copy", [line_entry(b"x" * 70000)])
    copy = LogCopy(tmp_path / "copy")
    with pytest.raises(HemConfigError, match=r"entry 1 takes \d{5} bytes; a datagram takes 65507"):
        ship(copy, Udp(place_of("udp://127.0.0.1:9")), PLAIN, None, Position(), patience=1)


def journal_at(path):
    """What a journal's socket is given, datagrams and memory files alike."""
    taken = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    taken.bind(str(path))
    found = []

    def serve():
        while True:
            data, handles, _, _ = socket.recv_fds(taken, 1 << 20, 1)
            if data == b"end":
                return
            for handle in handles:
                with os.fdopen(handle, "rb") as file:
                    file.seek(0)
                    data += file.read()
            found.append(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return taken, found, thread


def test_the_journal_gets_large_entries_as_sealed_memory(tmp_path):
    from hem_provider.adapters import journal

    append(tmp_path / "copy", [line_entry(b"small"), line_entry(b"y" * (1 << 20)), line_entry(b"last")])
    form = Form(lambda entry: journal.native(facts_of(entry, "office")), b"", b"", re.compile(b"$^"))
    copy, cursor = LogCopy(tmp_path / "copy"), Cursor(LogCopy(tmp_path / "copy"), "journal")
    taken, found, thread = journal_at(tmp_path / "socket")
    with taken, cursor.held():
        ship(copy, JournalSocket(tmp_path / "socket"), form, cursor, Position(), patience=5)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ending:
            ending.sendto(b"end", str(tmp_path / "socket"))
        thread.join(10)
    assert [re.search(rb"HEM_ENTRY=(\d+)", each)[1] for each in found] == [b"1", b"2", b"3"]
    assert b"HEM_RAW=" + b"y" * (1 << 20) + b"\n" in found[1]
    assert cursor.read().number == 3
    with pytest.raises(HemUnreachable, match="was away for 0 s: .*socket: Connection refused"):
        ship(copy, JournalSocket(tmp_path / "socket"), form, None, Position(), patience=0)


def test_the_journal_is_not_given_more_than_it_takes(monkeypatch):
    """journald drops what exceeds 10 000 messages in 30 s."""
    passed = [0.0]
    clock = Clock(lambda: passed[0], lambda seconds: passed.__setitem__(0, passed[0] + seconds))
    monkeypatch.setattr(datagram, "CLOCK", clock)
    monkeypatch.setattr(forms, "CLOCK", clock)
    receiver = JournalSocket(datagram.Path("/nowhere"))
    at = []
    for _ in range(200):
        receiver._pace(256)
        at.append(passed[0])
    for moment in at:
        assert sum(256 for each in at if moment <= each <= moment + 30) <= 10_000


class Files:
    """Exports to one file."""

    def __init__(self, copy, path):
        self.copy, self.path, self.cursor = copy, path, Cursor(copy, "file")

    def __call__(self, *, patience=0):
        newest = self.copy.last().number
        file = File(self.path, LINES, newest)
        with self.cursor.held():
            return ship(self.copy, file, LINES, self.cursor, self.cursor.read(), patience=patience)

    @property
    def numbers(self):
        return [json.loads(line)["entry"] for line in self.path.read_bytes().splitlines()]


@pytest.fixture
def files(copy, tmp_path):
    return Files(copy, tmp_path / "out" / "events.jsonl")


def test_a_file_has_each_entry_once_whatever_was_torn_off(files):
    files()
    assert files.numbers == list(range(1, 1001))
    assert files.path.stat().st_mode & 0o777 == 0o600
    whole = files.path.read_bytes()
    for cut in (1, 2, 100, 5000, len(whole) - 2000):
        files.path.write_bytes(whole[: len(whole) - cut])
        files()
        assert files.path.read_bytes() == whole, cut
    for left in (1, 10, 11, 100):  # torn within the first: the cursor counts, as it does for an empty one
        files.path.write_bytes(whole[:left])
        files.cursor.path.unlink()
        files()
        assert files.path.read_bytes() == whole, left
    files.path.write_bytes(whole[:-1000] + bytes(700))  # zeros, as a loss of power leaves them
    files()
    assert files.path.read_bytes() == whole


def test_the_end_of_a_file_counts_more_than_the_cursor(files):
    files()
    whole = files.path.read_bytes()
    files.cursor.path.unlink()
    assert files().sent == 0
    files.cursor.write(Position.of(next(iter(files.copy.entries(10)))))
    assert files().sent == 0
    assert files.path.read_bytes() == whole
    assert files.cursor.read().number == 1000


def test_a_file_that_was_rotated_goes_on_where_the_cursor_is(files):
    files()
    files.path.rename(files.path.with_suffix(".1"))
    append(files.copy.folder, [line_entry(b"new")] * 3)
    files()
    assert files.numbers == [1001, 1002, 1003]


@pytest.mark.parametrize(
    "content",
    [b"something else\n", b"something else", b'{"a": 1}\n{"b": 2}\n', b'{"entry":"x"}\n', b"\n", b"#"],
)
def test_nothing_is_added_to_a_file_of_others(files, content):
    files.path.parent.mkdir()
    files.path.write_bytes(content)
    files.path.chmod(0o600)
    with pytest.raises(HemConfigError, match="it has something else in it; nothing is added to it"):
        files()
    assert files.path.read_bytes() == content


def test_nothing_is_added_to_a_file_that_got_further_than_the_copy(files, tmp_path):
    files()
    other = Files(filled(tmp_path / "other", 10), files.path)
    with pytest.raises(HemConfigError, match="ends with entry 1000, and the copy with 10: it belongs"):
        other()


def test_two_exports_do_not_write_to_one_file(files):
    files()
    held = File(files.path, LINES, 1000)
    held.open(0)
    try:
        with pytest.raises(HemConfigError, match="another process exports to this file"):
            files()
    finally:
        held.close()


def test_what_is_no_regular_file_is_refused(files, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    files.path = tmp_path / "pipe"
    with pytest.raises(HemConfigError, match="it is no regular file; '--to -' writes to a pipe"):
        files()
    files.path = tmp_path
    with pytest.raises(IsADirectoryError):
        files()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small file system")
def test_a_full_disk_tears_nothing_and_is_waited_for(files, tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount")
    try:
        files.path = place / "events.jsonl"
        with pytest.raises(HemUnreachable, match=r"events.jsonl: No space left on device"):
            files()
        kept = files.numbers
        assert kept == list(range(1, len(kept) + 1))
        assert files.cursor.read().number == len(kept) < 1000
        subprocess.run(["mount", "-o", "remount,size=2m", str(place)], check=True)
        files()
        assert files.numbers == list(range(1, 1001))
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_cursor_of_another_copy_is_refused(copy, tmp_path):
    cursor = Cursor(copy, "one")
    with cursor.held():
        cursor.write(Position.of(next(iter(copy.entries(499)))))
    assert cursor.read().number == 500
    append(tmp_path / "other", [line_entry(b"else")] * 600)
    other = Cursor(LogCopy(tmp_path / "other"), "one")
    with other.held():
        other.path.write_bytes(cursor.path.read_bytes())
        other.path.chmod(0o600)
    with pytest.raises(HemConfigError, match="entry 500 of this copy is not the one that was sent"):
        other.read()


def test_a_cursor_beyond_the_end_is_refused(copy, tmp_path):
    short = Cursor(filled(tmp_path / "short", 10), "one")
    with short.held():
        short.write(Position.of(next(iter(copy.entries(499)))))
    with pytest.raises(HemConfigError, match="stands at entry 500, but the copy ends with entry 10"):
        short.read()
    empty = Cursor(LogCopy(tmp_path / "empty"), "one")
    with empty.held():
        empty.write(Position.of(next(iter(copy.entries(499)))))
    with pytest.raises(HemConfigError, match="but the copy is empty"):
        empty.read()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"garbage", b"{}", b"[1]", b'{"cursor": 2, "number": 0, "device": "", "entry": ""}',
        b'{"cursor": 1, "number": -1, "device": "", "entry": ""}',
        b'{"cursor": 1, "number": true, "device": "", "entry": ""}',
        b'{"cursor": 1, "number": 5, "device": "", "entry": ""}',
        b'{"cursor": 1, "number": 5, "device": "", "entry": "' + b"z" * 64 + b'"}',
        b"[" * 4000, b" " * 5000, b"\xff\x00",
    ],
)  # fmt: skip
def test_garbage_is_no_cursor(copy, content):
    cursor = Cursor(copy, "one")
    with cursor.held():
        cursor.path.write_bytes(content)
        cursor.path.chmod(0o600)
    with pytest.raises(HemConfigError, match=r"one.json: this is no cursor \(\d+ bytes\); --after NUMBER"):
        cursor.read()


def test_a_cursor_whose_entry_was_moved_away_with_its_day_goes_on(copy):
    cursor = Cursor(copy, "one")
    with cursor.held():
        cursor.write(Position.of(next(iter(copy.entries(499)))))
    day = copy.days()[0].path
    later = day.read_bytes().splitlines(keepends=True)
    with copy.writing(lambda: 5_000_000_000) as writer:
        writer.append([line_entry(b"next day")])
    day.unlink()
    assert len(later) == 1001
    assert cursor.read().number == 500
    assert [each.number for each in copy.entries(500)] == [1001]
    lines = []
    with Taker() as taker:
        ship(copy, Stream(place_of(taker.url)), COUNTED, cursor, cursor.read(), patience=5, told=lines.append)
        assert taker.numbers == [1001]
    assert lines == ["entries 501 to 1000 are not in the copy any more"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-x", "x" * 101, "ä", "a b", "\0"])
def test_what_is_no_name_of_a_cursor_is_refused(copy, name):
    with pytest.raises(HemConfigError, match="--name: .*; accepted: 1 to 100 letters, digits, dots"):
        Cursor(copy, name)


def test_two_exports_do_not_share_a_cursor(copy):
    one, other = Cursor(copy, "same"), Cursor(copy, "same")
    with one.held(), pytest.raises(HemConfigError, match="another process goes by this cursor"):
        with other.held():
            pass


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "nothing is named"),
        ("http://a:1", "'http' is no way there"),
        ("tcp://", "is not tcp://HOST:PORT"),
        ("tcp://host", "is not tcp://HOST:PORT"),
        ("tcp://host:0", "is not tcp://HOST:PORT"),
        ("tcp://host:99999", "Port out of range"),
        ("tls://host:1/path", "is not tls://HOST:PORT"),
        ("udp://user@host:1", "is not udp://HOST:PORT"),
        ("tcp://[::1:514", "Invalid IPv6 URL"),
    ],
)
def test_what_is_no_place_is_refused(text, told):
    with pytest.raises(HemConfigError, match=f"--to: .*{re.escape(told)}"):
        place_of(text)


def test_a_place_has_a_cursor_of_its_own_name(tmp_path):
    places = (
        "tcp://h:1",
        "tls://h:1",
        "tcp://h:2",
        "tcp://[::1]:1",
        "tcp://1:1",
        "journal",
        "a/x",
        "b/x",
        "-",
    )
    sockets = ("journal:/run/a/b", "journal:/run/a-b", "journal:/run/" + "c" * 90, "journal:/run/" + "c" * 91)
    names = [place_of(each).name for each in (*places, *sockets)]
    assert len(set(names)) == len(names)
    for each in names:
        Cursor(LogCopy(tmp_path), each)


def test_a_lock_stays_only_beside_a_cursor(copy):
    cursor = Cursor(copy, "one")
    with cursor.held():
        pass
    assert list(cursor.path.parent.iterdir()) == []
    with cursor.held():
        cursor.write(Position())
    assert {each.name for each in cursor.path.parent.iterdir()} == {"one.json", "one.lock"}
