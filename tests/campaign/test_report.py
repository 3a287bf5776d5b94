"""The page says what the outcomes say, no more and no less."""

from __future__ import annotations

from dataclasses import replace

import pytest

from campaign.outcome import (
    Effort,
    Figure,
    Outcome,
    Series,
    Table,
    is_fuller,
    read_outcome,
    stamped,
    write_outcome,
)
from campaign.parts import PARTS
from campaign.report import FOLDER, PAGE, draw, outcomes, page

SAMPLE = Outcome(
    "sample", "A sample", "What was tried.",
    figures=[Figure("attempts", 1000000), Figure("lost", 0, "entries", "0", kept=True)],
    tables=[Table("By place", ("place", "found"), [("a|b", "no")])],
    series=[Series("memory", "Memory", "minutes", "MiB", {"agent": [(0, 30), (1, 31.5)]})],
)  # fmt: skip


def test_an_outcome_comes_back_from_its_file_as_it_was(tmp_path):
    outcome = stamped(replace(SAMPLE), Effort(tmp_path, 0.25, 7), 0.0)
    again = read_outcome(write_outcome(outcome, tmp_path))
    assert page([again]) == page([outcome])
    assert (again.share, again.seed, again.when) == (0.25, 7, outcome.when)


def test_another_file_is_refused_by_name(tmp_path):
    path = tmp_path / "sample.json"
    path.write_text('{"format": 99}')
    with pytest.raises(ValueError, match="sample.json"):
        read_outcome(path)


def test_a_smaller_effort_replaces_no_fuller_one_but_with_a_problem(tmp_path):
    whole = Outcome("kills", "Kills", "", share=1.0)
    assert is_fuller(whole, tmp_path)
    write_outcome(whole, tmp_path)
    assert is_fuller(whole, tmp_path)
    assert is_fuller(replace(whole, share=2.0), tmp_path)
    assert not is_fuller(replace(whole, share=0.1), tmp_path)
    assert is_fuller(replace(whole, share=0.1, failures=["kill 17: a key twice"]), tmp_path)


def test_a_promise_that_does_not_hold_is_a_problem_and_is_shown():
    broken = replace(
        SAMPLE, figures=[Figure("lost", 2, "entries", "0", kept=False)], failures=["kill 17: a key twice"]
    )
    assert broken.problems() == ["kill 17: a key twice", "lost: 2 entries, promised: 0"]
    text = page([broken])
    assert "| lost | 2 entries | 0 | **✗** |" in text
    assert "- kill 17: a key twice\n" in text
    assert "| **2** |" in text


def test_the_page_says_which_parts_are_not_on_it():
    told = next(line for line in page([SAMPLE]).splitlines() if line.startswith("No figures yet"))
    assert told == f"No figures yet of: {', '.join(PARTS)}."
    assert "No figures yet" not in page([replace(SAMPLE, part=name) for name in PARTS])


def test_the_published_page_is_what_the_published_outcomes_say():
    found = outcomes()
    assert found
    assert PAGE.read_text(encoding="utf-8") == page(found)
    for each in (one for outcome in found for one in outcome.series):
        assert (FOLDER / f"{each.name}.svg").stat().st_size < 60 * 1024


def test_pictures_are_small_and_the_same_each_time(tmp_path):
    first, again = (draw([SAMPLE], tmp_path / name)[0].read_bytes() for name in ("a", "b"))
    assert first == again
    assert len(first) < 60 * 1024
