"""The pages on age, sops, Kubernetes and OpenBao are run as printed; what needs a newer program, where it
is there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.emulator import ServedEmulator
from support.pages import reader_of, run_page

from tools.servers import free_port

DOCS = Path(__file__).parents[2] / "docs"
#: Page → the programs that it cannot be run without, and those that its newer blocks want.
PAGES = {
    "age.md": (["age"], None),
    "kubernetes.md": ([], None),
    "openbao.md": ([], ["bao", "openbao-plugin-kms-pkcs11"]),
    "sops.md": ([], ["sops"]),
}


@pytest.fixture
def environment(tmp_path, tmp_path_factory):
    """As a reader has it: a device, its passphrase, and ``hem`` in PATH."""
    with ServedEmulator(tmp_path_factory.mktemp("device")) as emulator:
        yield reader_of(emulator, tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_work_as_printed(page, environment, tmp_path):
    wanted, newer = PAGES[page]
    lacking = [each for each in wanted if shutil.which(each) is None]
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    there = newer is not None and all(map(shutil.which, newer))
    if newer is not None and not there:
        print(f"only the blocks of {page} that need no newer program: not installed: {', '.join(newer)}")
    ports = {"8444": str(free_port())}
    try:
        run_page(
            DOCS / "recipes" / page, environment=environment, folder=tmp_path, newer=there,
            replacements=ports, seconds=150,
        )  # fmt: skip
    finally:
        hem = Path(sys.executable).with_name("hem")
        subprocess.run([hem, "agent", "stop"], env=environment, capture_output=True, check=False)


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_page_lead_somewhere(page):
    path = DOCS / "recipes" / page
    for target in re.findall(r"\]\((?!https:)([^)#]+)", path.read_text()):
        assert (path.parent / target).is_file(), target


@pytest.mark.parametrize("page", PAGES)
def test_no_page_shows_a_command_that_is_not_run(page):
    assert not re.findall(r"^```(?:sh|bash|shell)$", (DOCS / "recipes" / page).read_text(), re.MULTILINE)
