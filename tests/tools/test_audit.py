"""``make audit`` tells of known weaknesses, and of a network that is not there."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools import audit

ROOT = Path(__file__).parents[2]
FOUND = {
    "dependencies": [
        {"name": "good", "version": "1.0", "vulns": []},
        {"name": "skipped", "skip_reason": "not found"},
        {
            "name": "bad",
            "version": "2.0",
            "vulns": [
                {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2.1", "3.0"]},
                {"id": "PYSEC-2", "aliases": [], "fix_versions": []},
            ],
        },
    ]
}


def test_each_weakness_is_a_line_unless_it_is_accepted():
    lines = ["bad 2.0: PYSEC-1, fixed in 2.1, 3.0", "bad 2.0: PYSEC-2, fixed in no version yet"]
    assert audit.report(FOUND, {}) == lines
    assert audit.report(FOUND, {"CVE-1": "why"}) == lines[1:]
    assert all(audit.ACCEPTED.values()), "each has a reason"


def test_what_runs_is_looked_up_and_what_tests_is_not():
    packages = audit.needed()
    assert {"cryptography", "requests", "urllib3", "h11", "keyring"} <= set(packages)
    assert not {"hem-provider", "pytest", "mypy"} & set(packages)
    assert all(packages.values())


def test_a_weakness_ends_with_1(monkeypatch, capsys):
    monkeypatch.setattr(audit, "examine", lambda _: FOUND)
    assert audit.main() == 1
    assert "PYSEC-2" in capsys.readouterr().out


def test_without_a_network_it_says_so_and_goes_on(tmp_path):
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "tools/audit.py"],
        env={"HTTPS_PROXY": "http://127.0.0.1:9", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("audit: the index was not reached")
    assert time.monotonic() - begun < 30


def test_an_index_that_never_answers_is_waited_for_so_long(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections are made, and nobody takes them
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{silent.getsockname()[1]}")
        begun = time.monotonic()
        with pytest.raises(ConnectionError, match="no answer within 2 s"):
            audit.examine({"click": "8.1.0"}, patience=2)
        assert time.monotonic() - begun < 10


def test_the_names_of_pip_audit_are_those_that_are_read():
    shown = subprocess.run(
        [sys.executable, "-m", "pip_audit", "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    for option in (
        "--requirement",
        "--no-deps",
        "--disable-pip",
        "--format",
        "--progress-spinner",
        "--timeout",
    ):
        assert option in shown.stdout
