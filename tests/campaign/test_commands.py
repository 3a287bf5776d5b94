"""``make campaign`` and ``make fuzz``: what they take, and what is left of them when somebody ends them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace

import pytest

from campaign import parts
from campaign.fuzzing import running
from campaign.outcome import Figure, Outcome


@pytest.fixture
def part(monkeypatch, tmp_path):
    """Runs a part that does what it is given; where it was."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def run(what):
        def into(effort):
            (effort.folder / "device").touch()
            return what()

        monkeypatch.setattr(parts.importlib, "import_module", lambda _: SimpleNamespace(run=into))
        return parts.run_part("kills")

    return run


def end(how):
    raise how


def left(folder):
    return [each.name for each in folder.iterdir()]


@pytest.mark.parametrize("how", [KeyboardInterrupt(), SystemExit(143)], ids=["Ctrl-C", "SIGTERM"])
def test_a_part_that_somebody_ends_leaves_no_folder(part, tmp_path, how):
    with pytest.raises(type(how)):
        part(lambda: end(how))
    assert left(tmp_path) == []


def test_what_tells_of_a_failure_is_kept_and_named(part, tmp_path, capsys):
    good = Outcome("kills", "Kills", "", figures=[Figure("lost", 0, "", "0", kept=True)])
    part(lambda: good)
    assert (left(tmp_path), capsys.readouterr().out) == ([], "")
    part(lambda: Outcome("kills", "Kills", "", failures=["kill 17: a key twice"]))
    [folder] = tmp_path.iterdir()
    assert str(folder) in capsys.readouterr().out
    with pytest.raises(ZeroDivisionError) as told:
        part(lambda: 1 // 0)
    [another] = set(tmp_path.iterdir()) - {folder}
    assert str(another) in told.value.__notes__[0]


@pytest.mark.parametrize(
    ("program", "option", "told"),
    [
        ("campaign", ["--share", "0"], "0; accepted: a number above 0"),
        ("campaign", ["--share", "-1"], "-1; accepted: a number above 0"),
        ("campaign", ["--share", "nan"], "nan; accepted: a number above 0"),
        ("campaign", ["--share", "all"], "all; accepted: a number above 0"),
        ("campaign", ["nothing"], "no part nothing; there are: fuzz, contract, "),
        ("campaign.fuzzing", ["--seconds", "inf"], "inf; accepted: a number above 0"),
        ("campaign.fuzzing", ["nothing"], "no target nothing; there are: entry, places, "),
        ("campaign.fuzzing", ["--repeat", "nothing", "x"], "no target nothing; there are: entry, places, "),
        ("campaign.fuzzing", ["--repeat", "vault", "/nowhere"], "there is no file /nowhere"),
    ],
)
def test_an_option_that_is_not_taken_is_answered_with_what_is(program, option, told):
    done = subprocess.run(
        [sys.executable, "-m", program, *option],
        env={"PYTHONPATH": "tests:shim:."}, cwd=running.ROOT, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


def test_who_ends_the_fuzzers_need_not_wait_for_their_time(monkeypatch, tmp_path):
    """One ends, and what is told of it is interrupted; the other one had a minute to go."""
    commands = {"vault": ["true"], "tokens": ["sh", "-c", "exec sleep 60"]}
    monkeypatch.setattr(running, "ATHERIS", tmp_path)
    monkeypatch.setattr(running, "command_of", lambda name, _: ([*commands[name]], {}))
    monkeypatch.setattr(running.os, "cpu_count", lambda: 2)
    ended = []

    def interrupted(ran):
        ended.append(ran)
        if ran.name == "vault":
            raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        running.run_all(60, tmp_path / "run", ["vault", "tokens"], tell=interrupted)
    assert time.monotonic() - began < 30
    assert [(each.name, each.crashes) for each in ended] == [("vault", []), ("tokens", [])]
