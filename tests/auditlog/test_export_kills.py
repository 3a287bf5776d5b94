"""``kill -9`` of an export, and of its receiver, again and again: nothing is lost, and in a file nothing is
doubled."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time

import pytest
from support.logcopies import append, filled, line_entry
from support.receivers import Taker

from tools.servers import free_port

HEM = [sys.executable, "-m", "hem_provider.cli.main"]
#: Entries that are collected before each run.
ROUND = 600
KILLS = [4, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(1800)])]


class Killer:
    """Starts exports and kills them, some at once, most when the first entries of this run have gone out."""

    def __init__(self, copy, target):
        self.copy, self.target = copy, target
        self.random = random.Random(1)  # noqa: S311 - a fixed course
        self.killed = self.within = 0

    def run(self, moved):
        """One export that is killed; ``moved()`` changes when something has arrived."""
        command = [*HEM, "log", "export", "--from", self.copy.folder, "--to", self.target]
        process = subprocess.Popen([*map(str, command)], stderr=subprocess.DEVNULL)
        before, early = moved(), self.random.random() < 0.2
        ends = time.monotonic() + (self.random.uniform(0, 0.4) if early else 20)
        while process.poll() is None and time.monotonic() < ends and moved() == before:
            time.sleep(0.0005)
        if not early:
            time.sleep(self.random.uniform(0, 0.03))
        self.within += process.poll() is None and moved() != before
        self.killed += process.poll() is None
        process.kill()
        process.wait()

    def finish(self):
        """One that is left alone."""
        command = [*HEM, "log", "export", "--from", self.copy.folder, "--to", self.target, "--json"]
        done = subprocess.run([*map(str, command)], capture_output=True, check=True, timeout=600)
        return json.loads(done.stdout)

    def more(self):
        append(self.copy.folder, (line_entry(b"%d|%d|20|0|U||x" % (n, n)) for n in range(ROUND)))


@pytest.mark.parametrize("kills", KILLS)
def test_a_file_has_every_entry_once(kills, tmp_path):
    copy = filled(tmp_path / "office", 1)
    file = tmp_path / "events.jsonl"
    killer = Killer(copy, file)
    while killer.killed < kills:
        killer.more()
        killer.run(lambda: file.stat().st_size if file.exists() else 0)
    killer.finish()
    numbers = [json.loads(line)["entry"] for line in file.read_bytes().splitlines()]
    assert numbers == list(range(1, copy.last().number + 1))
    print(f"\nfile: {kills} kills, {killer.within} of them while entries went out; {len(numbers)} entries")


@pytest.mark.parametrize("kills", KILLS)
def test_a_receiver_has_every_entry_and_knows_the_repeats_by_their_numbers(kills, tmp_path):
    copy = filled(tmp_path / "office", 1)
    with Taker(pause=0.0005, piece=16384) as taker:
        killer = Killer(copy, taker.url)
        while killer.killed < kills:
            killer.more()
            killer.run(lambda: len(taker.messages))
        killer.finish()
        numbers = taker.numbers
    first_seen = list(dict.fromkeys(numbers))
    assert first_seen == list(range(1, copy.last().number + 1))  # none lost, and in order
    repeats = len(numbers) - len(first_seen)
    # A run repeats what the one before had sent and not yet noted: less than two batches.
    assert repeats <= 2 * 256 * killer.killed
    print(
        f"\ntcp: {kills} kills, {killer.within} of them while entries went out; "
        f"{len(first_seen)} entries, {repeats} repeats"
    )


#: A receiver that reads slowly and in small pieces, and writes down the number of each message.
RECEIVER = r"""
import re, socket, sys, time
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(sys.argv[1])))
listener.listen()
print("ready", flush=True)
with open(sys.argv[2], "ab", buffering=0) as file:
    while True:
        connection, _ = listener.accept()
        waiting = b""
        while data := connection.recv(2048):
            waiting += data
            while (found := re.match(rb"(\d+) ", waiting)) and len(waiting) >= found.end() + int(found[1]):
                ends = found.end() + int(found[1])
                file.write(re.search(rb'entry="(\d+)"', waiting[:ends])[1] + b"\n")
                waiting = waiting[ends:]
            time.sleep(0.0005)
        connection.close()
"""


def test_a_receiver_that_is_killed_with_data_unread_misses_nothing(tmp_path):
    """What its kernel had confirmed and it had not read is sent again."""
    copy = filled(tmp_path / "office", 4000)
    script, file, port = tmp_path / "receiver.py", tmp_path / "numbers", free_port()
    script.write_text(RECEIVER)
    file.touch()
    course = random.Random(2)  # noqa: S311 - a fixed course

    def receiver():
        process = subprocess.Popen(
            [sys.executable, str(script), str(port), str(file)], stdout=subprocess.PIPE
        )
        assert process.stdout.readline() == b"ready\n"
        return process

    process = receiver()
    command = [*HEM, "log", "export", "--from", str(copy.folder), "--to", f"tcp://127.0.0.1:{port}"]
    export = subprocess.Popen([*command, "--wait", "60", "--json"], stdout=subprocess.PIPE)
    kills = 0
    try:
        while export.poll() is None:
            before, ends = file.stat().st_size, time.monotonic() + 20
            while export.poll() is None and file.stat().st_size == before and time.monotonic() < ends:
                time.sleep(0.001)
            time.sleep(course.uniform(0.05, 0.2))
            if export.poll() is None and kills < 8:
                process.kill()
                process.communicate()
                process = receiver()
                kills += 1
        assert export.wait() == 0
        told = json.loads(export.stdout.read())
    finally:
        for each in (process, export):
            each.kill()
            each.communicate()
    numbers = [int(line) for line in file.read_bytes().split()]
    assert sorted(set(numbers)) == list(range(1, 4001))
    assert kills == 8
    assert told["entry"] == 4000
    assert told["again"] > 0
