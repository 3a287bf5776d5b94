"""The page for owners is run as printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.emulator import ServedEmulator, client_of
from support.pages import run_page, taken

from hem_provider.cli import statuses
from hem_provider.errors import HemConnectionError

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "owner.md"
#: The page of all, that of JSON, and a page a job.
PAGES = [PAGE, DOCS / "schemas" / "README.md", *sorted((DOCS / "owner").glob("*.md"))]


@pytest.fixture
def owned(tmp_path_factory):
    """A device without keys."""
    with ServedEmulator(tmp_path_factory.mktemp("device")) as emulator:
        yield emulator


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_work_as_printed(page, owned, tmp_path):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HEM_", "PYTHON"))}
    personal = tmp_path / ".config" / "hem" / "config.toml"  # for pages that write it
    personal.parent.mkdir(parents=True)
    personal.touch(mode=0o600)
    settings = {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / ".config"),
        "XDG_DATA_HOME": str(tmp_path / ".local" / "share"),
        "HEM_URL": owned.https,
        "HEM_CA_FILE": str(owned.ca_file),
        "HEM_PASSPHRASE_FILE": str(owned.passphrase_file),
        "HEM_CLOUD_URL": owned.cloud,
        "HEM_CLOUD_CA_FILE": str(owned.ca_file),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
    }
    (tmp_path / "firmware.bin").write_bytes(b"hem-provider emulator image 1.2.3\n")
    run_page(
        page,
        environment=clean | settings,
        folder=tmp_path,
        replacements={"https://my.ence.do ": f"{owned.https} "},
    )


def test_a_device_without_a_certificate_gets_one_as_the_page_of_status_says(owned, monkeypatch):
    monkeypatch.setenv("HEM_CLOUD_URL", owned.cloud)
    monkeypatch.setenv("HEM_CLOUD_CA_FILE", str(owned.ca_file))
    losing = ("emulator", "faults", "--state", str(owned.state), "lost-certificate")
    subprocess.run([sys.executable, "-m", "hem_provider.cli.main", *losing], check=True)
    with pytest.raises(HemConnectionError), client_of(owned) as hem:
        hem.login()
    [program] = taken(DOCS / "owner" / "status.md", "python")
    monkeypatch.setattr("builtins.input", lambda _: owned.passphrase)
    names: dict[str, object] = {}
    exec(program.replace("http://192.168.7.1", owned.http), names)  # noqa: S102
    with client_of(owned) as hem:
        assert hem.status().initialized


def test_the_page_tells_of_every_exit_status():
    told = re.findall(r"^\| (\d+) \| (.*) \|$", PAGE.read_text(), re.M)
    assert {int(status): meaning for status, meaning in told} == statuses.MEANINGS
    listed = {statuses.DONE, statuses.FAILED, *(status for _, status in statuses.STATUSES)}
    assert set(statuses.MEANINGS) == listed
