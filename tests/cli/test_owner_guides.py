"""Pages for owners about trouble, upgrading and the emulator are run as printed; links lead somewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.emulator import ServedEmulator
from support.pages import reader_of, run_page

from hem_provider.cli.helping import catalogue

DOCS = Path(__file__).parents[2] / "docs"
#: Pages that begin with a device, and one that makes its own.
WITH_DEVICE = ("troubleshooting", "upgrade")


@pytest.fixture(scope="module")
def owned(tmp_path_factory):
    """A device without keys."""
    with ServedEmulator(tmp_path_factory.mktemp("device")) as emulator:
        yield emulator


@pytest.mark.parametrize("name", WITH_DEVICE)
def test_the_commands_of_a_page_work_as_printed(name, owned, tmp_path):
    places = {
        "XDG_CONFIG_HOME": str(tmp_path / ".config"),
        "XDG_DATA_HOME": str(tmp_path / ".local" / "share"),
        "XDG_CACHE_HOME": str(tmp_path / ".cache"),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "HEM_CLOUD_URL": owned.cloud,
        "HEM_CLOUD_CA_FILE": str(owned.ca_file),
    }
    run_page(DOCS / f"{name}.md", environment=reader_of(owned, tmp_path) | places, folder=tmp_path)


def test_the_emulators_page_works_as_printed(tmp_path):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HEM_", "PYTHON"))}
    places = {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / ".config"),
        "XDG_CACHE_HOME": str(tmp_path / ".cache"),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
    }
    run_page(DOCS / "emulator.md", environment=clean | places, folder=tmp_path)


def test_the_page_for_developers_works_as_printed(owned, tmp_path):
    environment = reader_of(owned, tmp_path)
    hem = Path(sys.executable).with_name("hem")
    subprocess.run([hem, "emulator", "start"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    try:
        run_page(DOCS / "development" / "emulator.md", environment=environment, folder=tmp_path)
    finally:
        subprocess.run([hem, "emulator", "stop"], cwd=tmp_path, env=environment, check=True)
    assert json.loads((tmp_path / "hem-api.json").read_text("utf-8"))["openapi"] == "3.1.0"


def test_trouble_leads_to_every_kind_of_failure_that_a_person_meets():
    """But for those whose line has the very command to type, or names the file that is there."""
    text = (DOCS / "troubleshooting.md").read_text("utf-8")
    linked = set(re.findall(r"reference/errors\.md#([\w-]+)", text))
    assert linked <= {each.anchor for each in catalogue.NAMES.values()}
    kinds = {each.anchor for each in catalogue.KINDS}
    plain = {
        "e-agent-device", "e-agent-locked", "e-agent-socket", "e-ca-file", "e-denied", "e-file-there",
        "e-no-device", "e-old-package", "e-which-device",
    }  # fmt: skip
    assert kinds - linked == plain


def words_of(page):
    rows = re.findall(r"^\| ([^|]+) \|", page.read_text("utf-8"), re.M)
    return {each.strip(" `") for row in rows for each in row.split(",")} - {"word", "---"}


def test_no_word_is_explained_by_both_glossaries():
    own, developers = words_of(DOCS / "glossary.md"), words_of(DOCS / "development" / "glossary.md")
    assert min(len(own), len(developers)) > 30
    assert own & developers == set()


PAGES = sorted(DOCS.rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).with_suffix("").as_posix())
def test_every_link_of_a_page_leads_to_a_heading_or_a_file(page):
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)
    text = re.sub(r"`[^`\n]*`", "", text)
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]+))?\)", text):
        path = (page.parent / target) if target else page
        assert path.exists(), target
        if anchor and path.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.M)
            anchors = {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
            assert anchor in anchors, f"{target}#{anchor}"
