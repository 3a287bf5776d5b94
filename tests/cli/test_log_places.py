"""``hem log follow --name``: no event is lost, and none told twice without need, over restarts."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
import time

import pytest
from support.logcopies import append, filled, line_entry, own_entry

from hem_provider.auditlog.delivery.cursor import Cursor
from hem_provider.cli import statuses

HEM = [sys.executable, "-m", "hem_provider.cli.main"]


@pytest.fixture
def copy(tmp_path):
    return filled(tmp_path / "office", 30)


@pytest.fixture
def follow(run, copy, monkeypatch):
    """One look, as another process would make it; status, numbers of the entries told, what was said."""
    monkeypatch.setenv("HEM_URL", "https://hem.example")

    def follow(*arguments, name="pager"):
        status, out, told = run(
            "log", "follow", "--copy", copy.folder, "--name", name, "--once", "--json", *arguments
        )
        documents = [json.loads(line) for line in out.splitlines()]
        if status != statuses.DONE:
            return status, [], documents[0]["message"]
        return status, [each["entry"] for each in documents], told

    return follow


def test_the_first_look_begins_with_what_is_new_and_each_other_where_the_last_ended(follow, copy):
    assert follow()[:2] == (statuses.DONE, [])
    append(copy.folder, [own_entry("gap"), own_entry("clock-jump")])
    assert follow()[1] == [31, 32]
    assert follow()[1] == []
    append(copy.folder, [own_entry("gap")])
    assert follow(name="other")[1] == []  # a place of its own
    assert follow()[1] == [33]


def test_a_command_that_failed_was_told_all_the_same(follow, copy):
    follow()
    append(copy.folder, [own_entry("gap")])
    assert "has failed 1 of 1 times" in follow("--exec", "false")[2]
    assert follow("--exec", "false")[1] == []


def test_who_is_killed_while_the_command_runs_tells_it_again(follow, copy, tmp_path):
    follow()
    append(copy.folder, [own_entry("gap", f"number {n}") for n in range(4)])
    told = tmp_path / "told"
    script = tmp_path / "script"
    script.write_text(f"cat >> {told}; test $(wc -l < {told}) != 2 || exec sleep 60")
    words = ["log", "follow", "--copy", str(copy.folder), "--name", "pager", "--every", "1"]
    words += ["--exec", f"/bin/sh {script}"]
    with subprocess.Popen([*HEM, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while not told.exists() or len(told.read_text().splitlines()) < 2:
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert follow("--exec", f"tee -a {told}")[0] == statuses.DONE
    texts = [json.loads(line)["event"]["what"] for line in told.read_text().splitlines()]
    assert [each[-1] for each in texts] == list("01123")


def test_a_place_is_of_one_process_and_not_that_of_an_export(follow, copy, run):
    follow()
    with Cursor(copy, "pager", folder="followers").held():
        assert "another process goes by this cursor" in follow()[2]
    assert run("log", "export", "--from", copy.folder, "--name", "pager")[1].count(b"\n") == 30
    append(copy.folder, [own_entry("gap")])
    assert follow()[1] == [31]


def test_a_place_that_cannot_be_is_refused_and_named(follow, copy):
    follow()
    place = copy.folder / "followers" / "pager.json"
    kept = json.loads(place.read_text())
    for content, told in (
        ("x", "this is no cursor (1 bytes)"),
        (json.dumps(kept | {"number": 99}), "it stands at entry 99, but the copy ends with entry 30"),
        (json.dumps(kept | {"number": 29}), "entry 29 of this copy is not the one that was sent"),
    ):
        place.write_text(content)
        status, _, said = follow()
        assert status == statuses.FAILED
        assert f"{place}: {told}" in said
        assert said.endswith("without this file it begins with what is new")
    place.unlink()
    assert follow()[:2] == (statuses.DONE, [])


def test_what_does_not_go_together_is_refused(follow, run, tmp_path, copy):
    status, _, told = follow("--since", "1h")
    assert (status, "--name and --since do not go together" in told) == (statuses.USAGE, True)
    assert follow(name="a/b")[0] == statuses.USAGE
    assert not (copy.folder / "followers").exists()
    assert run("log", "follow", "--name", "pager", "--once")[0] == statuses.NOT_FOUND  # no copy is kept


def test_a_full_disk_ends_nothing_and_is_told_once(follow, copy, monkeypatch):
    follow()
    append(copy.folder, [line_entry(b"a", 2), own_entry("gap"), own_entry("gap")])

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Cursor, "write", full)
        status, numbers, told = follow("--exec", "true")
    assert (status, numbers) == (statuses.DONE, [31, 32, 33])
    assert told.count("No space left on device; after a restart events are told again") == 1
    assert follow()[1] == [31, 32, 33]
