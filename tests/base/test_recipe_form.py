"""The pages of ``docs/recipes`` have one form (``tools/recipe_pages.py``)."""

from __future__ import annotations

import datetime
import re

import pytest

from tools.recipe_pages import faults_of, recipe_of, recipes

PAGES = recipes()
GOOD = """\
# Sign a letter

*Needs:* a pen · *Tried with:* ink 3 · *Last tried:* 2026-11-28

## What you get

A letter that is signed.

## Steps

```console
$ hem keys create P-256 --label letter --use sign
```

## Check

Read it.

## Undo

```console
$ hem keys delete letter --yes
```
"""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_recipe_says_what_it_needs_and_when_it_was_last_tried(path):
    recipe = recipe_of(path)
    assert recipe.last_tried <= datetime.date.today() + datetime.timedelta(days=1)
    assert re.search(r"\d", recipe.tried_with), "versions"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_recipe_has_the_headings_in_their_order(path):
    assert faults_of(path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_recipe_needs_what_only_the_tests_have(path):
    imports = re.findall(r"^\s*(?:from|import) (\w+)", path.read_text("utf-8"), re.MULTILINE)
    assert {"support", "tests", "tools"} & set(imports) == set()


def test_titles_are_of_one_page_each():
    titles = [recipe_of(each).title for each in PAGES]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("## Check", "## See", "## See"),
        ("## Undo", "## What you need", "the order"),
        ("## Check\n\nRead it.\n\n", "", "## Check is missing"),
        ("A letter that is signed.", "", "says nothing"),
    ],
)
def test_another_form_is_found(old, new, fault):
    assert faults_of(GOOD) == []
    assert any(fault in each for each in faults_of(GOOD.replace(old, new)))


@pytest.mark.parametrize(("old", "new"), [("*Needs:*", "Needs:"), ("2026-11-28", "today"), ("# S", "S")])
def test_other_first_lines_are_found(old, new, tmp_path):
    page = tmp_path / "letter.md"
    page.write_text(GOOD)
    assert recipe_of(page).needs == "a pen"
    page.write_text(GOOD.replace(old, new))
    with pytest.raises(ValueError, match="begins with"):
        recipe_of(page)
