"""The documentation's code runs as printed, over an emulated device."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.passphrases import PASSPHRASE
from support.undone import has_undo

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [
    "symmetric.md",
    *sorted(f"recipes/{path.name}" for path in (DOCS / "recipes").glob("symmetric-*.md")),
]


def test_all_recipes_are_there():
    assert len(PAGES) == 5


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs(page, rig, monkeypatch, tmp_path):
    secret = tmp_path / "passphrase"
    secret.touch(mode=0o600)
    secret.write_text(PASSPHRASE)
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(secret))
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)
    assert blocks
    names: dict[str, object] = {"__name__": page}
    for number, block in enumerate(blocks):
        exec(compile(block, f"{page}, block {number + 1}", "exec"), names)  # noqa: S102
    assert rig.count("POST /api/crypto/") >= 1
    if has_undo((DOCS / page).read_text("utf-8")):
        assert [each.label for each in names["hem"].keys] == [], f"{page} is undone"


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_page_lead_somewhere(page):
    path = DOCS / page
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert (path.parent / target).is_file(), target
