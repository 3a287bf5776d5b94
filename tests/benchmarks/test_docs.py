"""The pages on performance show what was measured, and their pictures can be read."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from benchmarks.__main__ import GROUPS
from benchmarks.gate import below, broken, counted, grown
from benchmarks.plots import DARK, PICTURES, plotting
from benchmarks.report import BEGIN, END, read_run, replace_section, summary, tables, unfit
from hem_provider.measuring.measure import FLOOR

DOCS = Path(__file__).parents[2] / "docs"
PAGE, APPENDIX = DOCS / "performance.md", DOCS / "performance-figures.md"
#: Words that a person reads in five minutes.
FIVE_MINUTES = 1250


@pytest.fixture(scope="module")
def run():
    return read_run(DOCS / "performance" / "results.json")


def test_the_pages_show_the_published_figures_and_every_picture(run):
    page, appendix = PAGE.read_text("utf-8"), APPENDIX.read_text("utf-8")
    assert replace_section(page, summary(run)) == page
    assert replace_section(appendix, tables(run)) == appendix
    links = re.findall(r"\]\((performance[/-][^)]+)\)", page + appendix)
    assert {f"performance/{name}.svg" for name in PICTURES} <= set(links)
    assert [each for each in links if not (DOCS / each).is_file()] == []
    pictures = {each.stem for each in (DOCS / "performance").iterdir() if each.suffix in (".png", ".svg")}
    assert pictures == set(PICTURES)


def test_the_page_is_read_in_five_minutes():
    text = PAGE.read_text("utf-8")
    own = text[: text.index(BEGIN)] + text[text.index(END) :]
    assert len(own.split()) <= FIVE_MINUTES


def test_the_published_figures_hold_what_is_promised(run):
    assert counted(run.figures) == []
    if not unfit(run.load[0], run.rounds):  # else the page says that of ratios and times it tells little
        assert broken(run.figures) == []
        assert grown(run.facts) == []
        assert below(run.figures) == []
    groups = {each.group for each in run.figures}
    assert groups == {*GROUPS, "many at once"} - {"crowd", "memory", "auditlog"}
    assert any(each.layer == FLOOR for each in run.figures)


@pytest.fixture(scope="module", params=PICTURES)
def drawing(request, run):
    drawn = PICTURES[request.param](plotting(), run)
    drawn.canvas.draw()
    return drawn


def texts(drawing):
    """Each text that is seen, with the box it takes."""
    from matplotlib.text import Text

    beyond = set()  # of ticks that lie outside of what is shown
    for axis in (axis for axes in drawing.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if not low <= tick.get_loc() <= high:
                beyond |= {tick.label1, tick.label2}
    shown = (each for each in drawing.findobj(Text) if each.get_visible() and each not in beyond)
    seen = [each for each in shown if each.get_text().strip()]
    return [(each.get_text(), each.get_window_extent()) for each in seen]


def test_no_two_labels_of_a_picture_collide(drawing):
    collided = [
        (first, second)
        for (first, one), (second, other) in itertools.combinations(texts(drawing), 2)
        if one.overlaps(other)
    ]
    assert collided == []


def test_no_label_is_cut_off(drawing):
    width, height = drawing.canvas.get_width_height()
    cut = [
        text for text, box in texts(drawing) if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height
    ]
    assert cut == []


def test_a_picture_says_what_it_was_measured_on_and_when(drawing, run):
    said = " ".join(text for text, _ in texts(drawing))
    assert "emulated device" in said
    assert f"{run.rounds} rounds, {run.when}" in said
    assert ("provisional" in said) == bool(unfit(run.load[0], run.rounds))


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_small_and_is_read_on_a_dark_page(name):
    path = DOCS / "performance" / f"{name}.svg"
    text = path.read_text("utf-8")
    assert path.stat().st_size < 60 * 1024
    assert "prefers-color-scheme: dark" in text
    # What is written is letters, in colours of which each has one for a dark page.
    inks = set(re.findall(r"<text [^>]*?fill: (#[0-9a-f]{6})", text))
    assert inks
    assert inks <= set(DARK)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """As WCAG 2 has it."""
    dim, bright = sorted((luminance(one), luminance(other)))
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("page", [dict.fromkeys(DARK), DARK], ids=["light", "dark"])
def test_letters_stand_out_from_the_paper_on_either_page(page):
    ink, muted, _, paper, *_ = (page[each] or each for each in DARK)
    assert contrast(ink, paper) >= 4.5
    assert contrast(muted, paper) >= 4.5
