"""The papers for developers name what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "development").glob("*.md"))]
NAMED = re.compile(r"`(tests/[\w/]+\.(?:py|c))(?:::(test_\w+))?`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_is_there(page):
    for file, function in NAMED.findall(page.read_text("utf-8")):
        assert (ROOT / file).is_file(), f"{page.name}: {file}"
        if function:
            assert re.search(rf"^def {function}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE), function


def test_every_row_of_the_field_has_a_test():
    text = (ROOT / "docs" / "development" / "field.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\| (?!row|-)", line)]
    letters = {row.split()[1] for row in rows if re.match(r"\| [ABC]\d", row)}
    last = {"A": 8, "B": 7, "C": 13}
    expected = {f"{letter}{number}" for letter in last for number in range(1, last[letter] + 1)}
    assert letters == expected | {"C1b"}
    for row in rows:
        assert NAMED.search(row), row


def test_contributors_are_told_of_commands_and_files_that_there_are():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"make ([a-z-]+)", text)) <= targets
    for path in re.findall(r"`([\w./]+/[\w./]*)`", text):
        assert (ROOT / path).exists() or path.startswith((".venv", "build/")), path
