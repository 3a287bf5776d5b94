"""The performance guide shows what was measured, and names what is there."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.__main__ import GROUPS
from benchmarks.gate import broken
from benchmarks.plots import PICTURES
from benchmarks.report import read_run, replace_section, tables
from hem_provider.measuring.measure import FLOOR

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "performance.md"


def test_the_page_shows_the_published_figures_and_every_picture():
    text, run = PAGE.read_text("utf-8"), read_run(DOCS / "performance" / "results.json")
    assert replace_section(text, tables(run)) == text
    links = re.findall(r"\]\((performance/[^)]+)\)", text)
    assert {f"performance/{name}.png" for name in PICTURES} <= set(links)
    assert [each for each in links if not (DOCS / each).is_file()] == []


def test_the_published_figures_hold_what_is_promised():
    run = read_run(DOCS / "performance" / "results.json")
    assert broken(run.figures) == []
    groups = {each.group for each in run.figures}
    published = {
        "start",
        "operations",
        "hardware",
        "commands",
        "commands ppa",
        "scale",
        "many at once",
        "age",
    }
    assert groups == published | {"agent", "agent ppa"}
    assert len(GROUPS) == 10
    assert any(each.layer == FLOOR for each in run.figures)
    assert run.facts
