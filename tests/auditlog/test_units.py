"""The units that collect the log each hour are good ones."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hem_provider.cli.root import ROOT

UNITS = Path(__file__).parents[2] / "packaging" / "systemd"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_units_are_good_units(tmp_path):
    for each in UNITS.glob("hem-log-*"):
        (tmp_path / each.name).write_text(each.read_text().replace("/usr/bin/hem", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert [line for line in done.stderr.splitlines() if "hem-log" in line] == []
    assert done.returncode == 0, done.stderr


def test_the_service_runs_a_command_that_there_is():
    (line,) = [
        each for each in (UNITS / "hem-log-collect.service").read_text().splitlines() if "Exec" in each
    ]
    program, *words = line.partition("=")[2].split()
    assert program == "/usr/bin/hem"
    command = ROOT
    for each in words:
        command = command.get_command(None, each)
    assert command.name == "collect"
