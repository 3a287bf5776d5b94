"""The form of the pages of ``docs/recipes``, and what each says of itself: its job, its needs, what it was
tried with, and when it was last tried. The list of recipes is made from that."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FOLDER", "HEADINGS", "Recipe", "faults_of", "recipe_of", "recipes"]

FOLDER = Path(__file__).parents[1] / "docs" / "recipes"
#: The headings that a recipe has, in this order; all but those of ``_ALWAYS`` where it has something to say.
HEADINGS = ("What you get", "What you need", "Steps", "Check", "What can go wrong", "Undo")
_ALWAYS = ("What you get",)
#: What a page has that makes something: a key, an entry, a certificate, or a running program.
_MAKES = re.compile(
    r"keys create |keypairgen|-genkeypair|keys\.create\(|create\(\""
    r"|keyring init|gpg setup|init_ca|agent start"
)
_FACTS = re.compile(r"\*Needs:\* (.+) · \*Tried with:\* (.+) · \*Last tried:\* (\d{4}-\d\d-\d\d)")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a page says of itself; ``last_tried`` is the day on which its test passed."""

    path: Path
    title: str
    needs: str
    tried_with: str
    last_tried: datetime.date


def recipes() -> list[Path]:
    """The pages, without the list of them."""
    return sorted(each for each in FOLDER.glob("*.md") if each.name != "index.md")


def recipe_of(path: Path) -> Recipe:
    """What a page says of itself. ``ValueError`` where its first lines are otherwise."""
    lines = path.read_text("utf-8").split("\n")
    facts = _FACTS.fullmatch(lines[2]) if len(lines) > 2 else None
    if not lines[0].startswith("# ") or lines[1:2] != [""] or facts is None:
        raise ValueError(
            f"{path.name}: begins with '# TITLE', an empty line, and "
            "'*Needs:* … · *Tried with:* … · *Last tried:* YEAR-MONTH-DAY' in one line"
        )
    return Recipe(path, lines[0][2:], facts[1], facts[2], datetime.date.fromisoformat(facts[3]))


def faults_of(text: str) -> list[str]:
    """What of the headings is not as it has to be."""
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    found = re.findall(r"^## (.+)$", outside, re.MULTILINE)
    faults = [f"## {each}: accepted: {', '.join(HEADINGS)}" for each in found if each not in HEADINGS]
    known = [each for each in found if each in HEADINGS]
    if known != [each for each in HEADINGS if each in known]:
        faults.append(f"the order is {', '.join(known)}")
    always = {*_ALWAYS, "Steps", "Check", "Undo"} if _MAKES.search(text) else set(_ALWAYS)
    faults += [f"## {each} is missing" for each in HEADINGS if each in always - set(found)]
    for heading, body in re.findall(r"^## (.+)\n((?:(?!^## ).*\n?)*)", outside, re.MULTILINE):
        if not body.strip() and not re.search(rf"^## {heading}\n+```", text, re.MULTILINE):
            faults.append(f"## {heading} says nothing")
    return faults
