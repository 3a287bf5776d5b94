"""The table of systems: it is made of what roots and pytest said, and stands in its page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools import make_deb, roots, try_wheels
from tools import test_systems as systems

ROOT = Path(__file__).parents[2]
RESULTS = """<testsuites><testsuite>
<testcase classname="tests.openssl.test_a" name="one"/>
<testcase classname="tests.openssl.test_a" name="two"/>
<testcase classname="tests.pkcs11.test_b" name="bad"><failure message="x"/></testcase>
<testcase classname="tests.pkcs11.test_b" name="broken"><error message="x"/></testcase>
<testcase classname="tests.tools.test_c" name="left"><skipped message="not run: no valgrind"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def outcome(tmp_path):
    made = systems.Outcome("trixie", versions={"Python": "3.13.5"}, demo="✓")
    (tmp_path / "results.xml").write_text(RESULTS)
    systems.count(made, tmp_path / "results.xml")
    made.runs = dict.fromkeys(made.counts, "2026-01-31")
    return made


def test_results_are_counted_by_suite_and_failures_named(outcome):
    assert outcome.counts == {"openssl": (2, 0, 0), "pkcs11": (0, 2, 0), "tools": (0, 0, 1)}
    assert outcome.failures == ["tests.pkcs11.test_b::bad", "tests.pkcs11.test_b::broken"]
    assert not outcome.good


def test_the_table_says_what_failed_what_was_not_run_and_what_is_not_there(outcome):
    header, _, row, _, below = systems.table([outcome]).splitlines()
    cells = dict(zip(header.strip("| ").split(" | "), row.strip("| ").split(" | "), strict=True))
    assert cells["Python"] == "3.13.5"
    assert cells["pkcs11-provider"] == cells["`tests/cli`"] == cells["`tests/gpg`"] == "–"
    assert cells["`tests/openssl`"] == "✓ 2"
    assert cells["`tests/pkcs11`"] == "✗ 2 of 2"
    assert cells["`tests/tools`"] == "✓ 0, 1 not run"
    assert "pkcs11, openssl, tools: 2026-01-31" in below
    assert "no valgrind (1)" in below
    assert "tests.pkcs11.test_b::bad" in below


def test_what_is_run_again_takes_the_place_of_what_was_known_of_it_alone(outcome):
    outcome.forget("pkcs11")
    assert outcome.good
    assert outcome.failures == []
    outcome.forget("tools")
    assert outcome.skipped == {}
    assert outcome.counts == {"openssl": (2, 0, 0)}


def test_a_system_where_nothing_ran_is_not_good():
    assert not systems.Outcome("sid", demo="✓").good
    assert not systems.Outcome("sid", demo="✗", counts={"cli": (9, 0, 0)}).good
    assert systems.Outcome("sid", demo="✓", counts={"cli": (9, 0, 1)}).good


def test_the_table_is_written_between_its_marks_alone(monkeypatch, tmp_path):
    page = tmp_path / "platforms.md"
    page.write_text(systems.PAGE.read_text("utf-8"))
    monkeypatch.setattr(systems, "PAGE", page)
    systems.publish("NEW")
    first = page.read_text("utf-8")
    systems.publish("NEWER")
    before, _, after = systems.PAGE.read_text("utf-8").partition("NEWER")
    assert first == f"{before}NEW{after}"
    assert all(mark in first for mark in systems.MARKS)


@pytest.mark.parametrize("module", [systems, make_deb, try_wheels])
def test_who_is_not_root_is_told_before_anything_is_done(module, monkeypatch):
    monkeypatch.setattr(roots.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(roots.shutil, "which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(sys, "argv", ["program"])
    with pytest.raises(SystemExit, match="root is needed"):
        module.main()


def test_a_program_that_is_missing_is_told_with_its_package(monkeypatch):
    monkeypatch.setattr(roots.shutil, "which", lambda program: None if program == "unshare" else "/usr/bin/x")
    with pytest.raises(SystemExit, match="unshare is missing; on Debian: apt-get install util-linux"):
        roots.check_can_make_roots()


def test_a_system_that_there_is_not_is_refused_with_those_there_are():
    done = subprocess.run(
        [sys.executable, "-m", "tools.test_systems", "woody"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "no system woody; there are: bookworm, trixie, sid, openssl-4" in done.stderr
