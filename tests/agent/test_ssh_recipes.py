"""The pages on SSH and git are run as printed."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from support import pages
from support.emulator import ServedEmulator

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ["ssh.md", "ssh-python.md", "git.md"]


@pytest.fixture
def environment(tmp_path, tmp_path_factory):
    """As a reader has it: a device, its passphrase, and ``hem`` in PATH."""
    with ServedEmulator(tmp_path_factory.mktemp("device")) as emulator:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("HEM_", "PYTHON"))}
        yield clean | {
            "SSH_AUTH_SOCK": str(tmp_path / "another-agent"),  # which the page gives back
            "HOME": str(tmp_path),
            "HEM_URL": emulator.https,
            "HEM_CA_FILE": str(emulator.ca_file),
            "HEM_PASSPHRASE_FILE": str(emulator.passphrase_file),
            "PATH": f"{Path(sys.executable).parent}:/usr/sbin:{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
        }


@pytest.fixture
def privileged_folder():
    """What sshd wants when root starts it; the system makes it at its start."""
    folder = Path("/run/sshd")
    made = os.geteuid() == 0 and not folder.exists()
    if made:
        folder.mkdir(mode=0o755)
    yield
    if made:
        folder.rmdir()


@pytest.fixture
def no_server_left(tmp_path):
    """A page that fails half-way leaves its sshd, which writes its title over its environment."""
    yield
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and f"HostKey={tmp_path}/".encode() in (entry / "cmdline").read_bytes():
                os.kill(int(entry.name), signal.SIGTERM)


@pytest.mark.usefixtures("privileged_folder", "no_server_left")
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_work_as_printed(page, environment, tmp_path, monkeypatch):
    # By the user who runs the tests: others of a namespace have no shell to log in to.
    monkeypatch.setattr(pages, "as_ordinary_user", lambda **_: ())
    pages.run_page(DOCS / "recipes" / page, environment=environment, folder=tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_page_lead_somewhere(page):
    path = DOCS / "recipes" / page
    targets = re.findall(r"\]\(([^)#:]+)\)", path.read_text())
    assert targets
    for target in targets:
        assert (path.parent / target).is_file(), target
