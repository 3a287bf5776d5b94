"""The page on exporting is run as printed, and its unit is a good one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.emulator import ServedEmulator
from support.pages import run_page
from support.rsyslog import PROGRAM, has_driver

from tools.servers import free_port

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "packaging" / "systemd" / "hem-log-export@.service"
REMOTE = Path("/lib/systemd/systemd-journal-remote")


@pytest.mark.skipif(PROGRAM is None or not has_driver("ossl"), reason="needs rsyslog and rsyslog-openssl")
@pytest.mark.skipif(not REMOTE.exists(), reason="needs systemd-journal-remote")
def test_the_commands_of_the_page_work_as_printed(tmp_path):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HEM_", "PYTHON"))}
    home = tmp_path / "home"
    (home / ".config" / "hem").mkdir(parents=True)
    (home / ".config" / "hem" / "config.toml").touch(mode=0o600)
    (tmp_path / "device").mkdir()
    with ServedEmulator(tmp_path / "device") as owned:
        settings = {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_DATA_HOME": str(home / ".local" / "share"),
            "HEM_URL": owned.https,
            "HEM_CA_FILE": str(owned.ca_file),
            "HEM_PASSPHRASE_FILE": str(owned.passphrase_file),
            "HEM_CLOUD_URL": owned.cloud,
            "HEM_CLOUD_CA_FILE": str(owned.ca_file),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin",
            "LC_ALL": "C.UTF-8",
        }
        run_page(
            ROOT / "docs" / "log-export.md",
            environment=clean | settings,
            folder=home,
            replacements={"6514": str(free_port())},
        )


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_unit_is_a_good_unit(tmp_path):
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text("utf-8").replace("/usr/bin/hem", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", "--man=no", str(unit)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, [line for line in done.stderr.splitlines() if "hem-log" in line]) == (0, [])


def test_the_unit_types_what_there_is():
    from hem_provider.cli.commands.log import command

    (line,) = [each for each in UNIT.read_text("utf-8").splitlines() if each.startswith("ExecStart=")]
    words = line.removeprefix("ExecStart=/usr/bin/hem ").split()
    assert words[:2] == ["log", "export"]
    known = {name for each in command.commands["export"].params for name in each.opts}
    assert {word for word in words if word.startswith("--")} <= known
