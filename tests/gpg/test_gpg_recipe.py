"""The page on GnuPG is run as printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support import pages
from support.emulator import ServedEmulator
from support.gnupg import with_passphrase

PAGE = Path(__file__).parents[2] / "docs" / "recipes" / "gnupg.md"


def test_the_commands_of_the_page_work_as_printed(desks, tmp_path, monkeypatch):
    # By the user who runs the tests: gpg-agent's sockets are that user's.
    monkeypatch.setattr(pages, "as_ordinary_user", lambda **_: ())
    with ServedEmulator(tmp_path) as emulator:
        desk = desks(with_passphrase(emulator))
        del desk.environment["GNUPGHOME"]
        desk.environment["HEM_NAME"] = "office"
        try:
            pages.run_page(PAGE, environment=desk.environment, folder=desk.place)
        finally:
            for home in (".gnupg", "other", "grace"):
                desk.tried("gpgconf", "--homedir", desk.place / home, "--kill", "all")


def test_the_links_of_the_page_lead_somewhere():
    targets = re.findall(r"\]\(([^)#:]+)\)", PAGE.read_text())
    assert targets
    for target in targets:
        assert (PAGE.parent / target).is_file(), target


@pytest.mark.parametrize("name", ["setup", "import", "export", "status"])
def test_the_page_tells_of_every_action(name):
    assert f"hem gpg {name}" in PAGE.read_text()
