"""The lists of programs and libraries (``docs/tools.md``, ``docs/python.md``): what "works" names a test that
there is, what "cannot" has a reason and a replacement, and every recipe is in one of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hem_provider.installation import LIBRARY_OF

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {name: (DOCS / name).read_text("utf-8") for name in ("tools.md", "python.md")}
RECIPES = [each for each in (DOCS / "recipes").glob("*.md") if each.name != "index.md"]
#: Page → first cell of its list's head: the two lists have columns of their own.
HEADS = {"tools.md": "tool", "python.md": "library"}
#: The one kind of recipe that a test takes by a pattern.
BY_PATTERN = "symmetric-"


def tables(page: str) -> list[list[dict[str, str]]]:
    """The tables of a page that are lists, as rows by the names of their columns."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", PAGES[page], re.MULTILINE):
        head, rule, *rows = [
            [cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()
        ]
        if head[0] == HEADS[page]:
            assert all(len(row) == len(head) == len(rule) for row in rows), head
            found.append([dict(zip(head, row, strict=True)) for row in rows])
    return found


WORKS = [(page, row) for page in PAGES for row in tables(page)[0]]
CANNOT = [(page, row) for page in PAGES for row in tables(page)[1]]


@pytest.fixture(scope="module")
def collected(request) -> set[str]:
    """The tests of the files that are named, without their parameters: as this run has found them, and of
    files that it has not, or not whole, as another finds them."""
    found = {each.nodeid.partition("[")[0] for each in request.session.items}
    known = found | {each.partition("::")[0] for each in found}
    named = {f"tests/{name}" for _, row in WORKS for name in re.findall(r"`([^`]+)", row["tried by"])}
    files = sorted({each.partition("::")[0] for each in named - known})
    if files:
        options = ("--collect-only", "-q", "-o", "addopts=--import-mode=importlib")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *files],
            cwd=ROOT, capture_output=True, text=True, timeout=170, check=False,
        )  # fmt: skip
        nothing = pytest.ExitCode.NO_TESTS_COLLECTED  # where all of them want a library that is not there
        assert done.returncode in (0, nothing), done.stdout[-2000:] + done.stderr
        found |= {line.partition("[")[0] for line in done.stdout.splitlines() if "::" in line}
    return found | {each for file in files for each in skipped(file)}


def skipped(file: str) -> list[str]:
    """The tests of a file that are not collected where a library is not there."""
    text = (ROOT / file).read_text("utf-8")
    names = re.findall(r"^def (test_\w+)", text, re.MULTILINE)
    return (
        [f"{file}::{name}" for name in names] if re.search(r"^\w+ = pytest.importorskip", text, re.M) else []
    )


def test_there_are_two_lists_on_each_page():
    for page in PAGES:
        assert len(tables(page)) == 2, page
    assert len(WORKS) > 35
    assert len(CANNOT) > 15


def test_what_works_is_tried_by_a_test_that_there_is(collected):
    for page, row in WORKS:
        names = re.findall(r"`([^`]+)`", row["tried by"])
        assert names, f"{page}: {row[HEADS[page]]} is tried by nothing"
        for name in names:
            file, mark, test = f"tests/{name}".partition("::")
            there = {each for each in collected if each.startswith(f"{file}::")}
            assert there, f"{page}: no test in {name}"
            assert not mark or f"{file}::{test}" in there, f"{page}: no test {name}"


def test_what_works_has_a_page_and_says_so():
    for page, row in WORKS:
        assert re.search(r"\]\([^)]+\)", row["page"]), f"{page}: {row[HEADS[page]]} has no page"
    for row in tables("tools.md")[0]:
        assert any("works" in cell for cell in row.values()), row["tool"]
    for row in tables("python.md")[0]:
        assert row["works"], row["library"]


def test_what_cannot_work_has_a_reason_and_a_replacement():
    for page, row in CANNOT:
        assert all(row.values()), f"{page}: {row[HEADS[page]]}: {row}"
        assert len(row) == 3


def test_every_recipe_is_in_a_list_and_every_link_leads_somewhere():
    listed = set()
    for page, text in PAGES.items():
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (DOCS / target).exists(), f"{page}: {target}"
            listed.add(target)
    assert {f"recipes/{each.name}" for each in RECIPES} - listed == set()


def test_every_recipe_is_run_by_a_test():
    tests = "\n".join(each.read_text("utf-8") for each in (ROOT / "tests").rglob("test_*.py"))
    for path in RECIPES:
        named = re.search(rf"[\"'/ ]{re.escape(path.stem)}(?:\.md)?\b[\"']", tests)
        assert named or path.stem.startswith(BY_PATTERN), path.name


def test_anchors_of_the_lists_are_headings():
    for page, text in PAGES.items():
        for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", text):
            path = DOCS / (target or page)
            headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
            assert anchor in anchors, f"{page}: {target}#{anchor}"


def test_every_library_that_has_an_adapter_is_listed_with_it():
    shown = {row["by"] for row in tables("python.md")[0]}
    for adapter in LIBRARY_OF:
        assert f"`{adapter.removeprefix('hem_provider.')}`" in shown


def test_a_table_that_is_not_whole_would_be_seen(monkeypatch):
    monkeypatch.setitem(PAGES, "tools.md", "| tool | by |\n|---|---|\n| nginx |\n")
    with pytest.raises(AssertionError):
        tables("tools.md")
