"""The page on monitoring is run as printed, and tells of every option and alert."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import command_of
from support.emulator import ServedEmulator
from support.exporter import configured
from support.pages import run_page

from hem_provider.device import tally
from tools import make_monitoring

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "monitoring.md"
UNIT = ROOT / "packaging" / "systemd" / "hem-exporter.service"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool")
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_commands_of_the_page_work_as_printed(tmp_path, tmp_path_factory):
    with ServedEmulator(tmp_path_factory.mktemp("device")) as device:
        settings = {
            "HOME": str(tmp_path),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
        }
        run_page(
            PAGE,
            environment=configured(device, **settings),
            folder=tmp_path,
            replacements={"packaging/monitoring": str(make_monitoring.FOLDER)},
        )


def test_it_tells_of_every_option_alert_and_kind_of_failure():
    text = PAGE.read_text()
    for each in command_of(("exporter",)).params:
        if each.opts[0] not in ("--help",):
            assert each.opts[0] in text
    told = set(re.findall(r"`(Hem[A-Z]\w+)`", text))
    assert told == {each.name for each in make_monitoring.alerts()}
    for kind in tally.KINDS:
        assert kind.startswith("status-") or f"`{kind}`" in text
    assert re.search(r"`--interval SECONDS` \(30\)", text)
    assert re.search(r"`--self-test SECONDS` \(86400; 0: none\)", text)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_unit_is_a_good_unit(tmp_path):
    (tmp_path / UNIT.name).write_text(UNIT.read_text().replace("/usr/bin/hem", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", "--man=no", str(tmp_path / UNIT.name)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert [line for line in done.stderr.splitlines() if "hem-exporter" in line] == []
    assert done.returncode == 0, done.stderr


def test_the_unit_starts_the_command_as_it_is():
    [line] = [each for each in UNIT.read_text().splitlines() if each.startswith("ExecStart=")]
    program, name, *options = line.removeprefix("ExecStart=").split()
    assert (program, name) == ("/usr/bin/hem", "exporter")
    known = {option for each in command_of((name,)).params for option in each.opts}
    assert {each for each in options if each.startswith("-")} <= known
