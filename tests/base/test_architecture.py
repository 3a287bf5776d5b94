"""The pages for who works on the project show what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.draw_layers import PICTURE, drawn

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "development"
#: Roots that a path on a page may be relative to.
ROOTS = (ROOT, ROOT / "hem_provider", ROOT / "shim", ROOT / "shim" / "hem_pkcs11")


def test_the_picture_of_the_layers_is_drawn_from_their_contract():
    assert PICTURE.read_text("utf-8") == drawn(), "python tools/draw_layers.py"


@pytest.mark.parametrize("page", ["architecture.md", "glossary.md"])
def test_every_file_that_a_page_names_is_there(page):
    text = (PAGES / page).read_text("utf-8")
    named = re.findall(r"`((?:[\w.]+/)+(?:[\w.]+\.(?:py|c|md))?)`", text)
    missing = [each for each in named if not any((root / each).exists() for root in ROOTS)]
    assert named
    assert missing == []
    links = [each for each in re.findall(r"\]\(([^)#]+)", text) if "//" not in each]
    assert [each for each in links if not (PAGES / each).exists()] == []
