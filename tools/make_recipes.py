"""Write the table of all recipes, ``docs/recipes/index.md``: what each is for, what it needs, with what it
was tried, and when.

    python tools/make_recipes.py            write the page
    python tools/make_recipes.py --check    fail when it is not what the recipes say

The groups and their order are those of the site's navigation (``tools/site/mkdocs.yml``). The rest stands in
each recipe: its title is the job, and the line below that says

    *Needs:* … · *Tried with:* … · *Last tried:* YYYY-MM-DD
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "docs" / "recipes"
NAVIGATION = ROOT / "tools" / "site" / "mkdocs.yml"
sys.path.insert(0, str(ROOT))

from tools.options import only_checks  # noqa: E402
from tools.write_pages import up_to_date  # noqa: E402

__all__ = ["FACTS", "facts", "groups", "main", "page"]

#: The line below a recipe's title.
FACTS = re.compile(
    r"\*Needs:\* (?P<needs>.+) · \*Tried with:\* (?P<tried>.+) · \*Last tried:\* (?P<last>\d{4}-\d\d-\d\d)"
)
_NAME = "index.md"
_FOLDER = "recipes/"
_HEAD = """\
# Recipes

A page a job: what it needs, the steps, and how to see that it worked. Each is run as printed by a test of the
project, on an emulated device; the versions are those that the test met. What works with which tool at all is
told in [the list of tools](../tools.md) and [the list of libraries](../python.md#libraries).

In a block, `$ ` stands before what you type, and `> ` before the lines that go on with it; `! ` stands
before a command that is to fail, since the page shows how. None of the three is typed. All other lines are
what is printed, those with `#` too, and `…` stands for what differs on your machine. The commands are for
bash: in another shell (fish, csh, zsh) type `bash` first.

Begin each recipe in an empty folder, since "Undo" takes files away by their names. After it the device's
keys, the files, your settings and the variables of the shell are as they were before; what is meant to
stay, it names.
"""


def groups(navigation: Path = NAVIGATION) -> dict[str, list[str]]:
    """Group → the files of its recipes, as the navigation has them."""
    found: dict[str, list[str]] = {}

    def look(entries: list[Any], group: str) -> None:
        for entry in entries:
            if isinstance(entry, dict):
                for title, below in entry.items():
                    look(below, title) if isinstance(below, list) else look([below], group)
            elif entry.startswith(_FOLDER) and entry != _FOLDER + _NAME:
                found.setdefault(group, []).append(entry.removeprefix(_FOLDER))

    look(yaml.safe_load(navigation.read_text("utf-8"))["nav"], "")
    return found


def facts(recipe: Path) -> tuple[str, str, str, str]:
    """What a recipe is for, what it needs, what it was tried with and when; "–" for what it does not say."""
    title, _, rest = recipe.read_text("utf-8").partition("\n")
    said = FACTS.fullmatch(rest.lstrip("\n").partition("\n")[0].rstrip())
    job = title.removeprefix("# ")
    return (job, said["needs"], said["tried"], said["last"]) if said else (job, "–", "–", "–")


def page() -> str:
    """The table, a part for each group."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _HEAD.rstrip()
    for group, names in groups().items():
        yield from ("", f"## {group}", "", "| job | needs | tried with | last tried |", "|---|---|---|---|")
        for name in names:
            job, *others = facts(RECIPES / name)
            yield f"| [{job}]({name}) | {' | '.join(others)} |"


def main(arguments: list[str]) -> int:
    """Write it, or with ``--check`` compare."""
    check = only_checks(arguments, "Write the table of all recipes, docs/recipes/index.md.")
    return up_to_date(RECIPES, {_NAME: page()}, check=check, whole=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
