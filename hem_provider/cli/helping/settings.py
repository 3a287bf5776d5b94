"""What the page on the configuration has of one setting, by its name in the file or the environment's; and
the pages that name a variable."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hem_provider.cli.helping import pages

__all__ = ["names", "told"]

_PAGE = "configuration"
#: Between the cells of a table: a bar that no backslash makes one of a cell's own.
_BAR = re.compile(r"(?<!\\)\|")
_VARIABLE = re.compile(r"\bHEM_[A-Z_0-9]+\b")
#: What looks like a variable, of whatever program.
_OF_ANY = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")


def told(word: str) -> str | None:
    """A setting as a page of its own; the whole page for a variable that is no setting, and the names of
    pages for one that it does not name; ``None``: none is called so."""
    page = pages.find(_PAGE)
    if page is None:
        return None
    text = page.read_text("utf-8")
    for row in _rows(text):
        if word.lower() in _called(row):
            title, *rest = row.items()
            return "\n".join(
                [f"# {title[1]}", "", *(f"* {name}: {value}" for name, value in rest if value), ""]
            )
    return text if word.upper() in _VARIABLE.findall(text) else _elsewhere(word)


def _elsewhere(word: str) -> str | None:
    place = pages.folder()
    if place is None or not _OF_ANY.fullmatch(word):
        return None
    whole = re.compile(rf"\b{word}\b")
    found = [each for each in pages.names() if whole.search((place / f"{each}.md").read_text("utf-8"))]
    if not found:
        return None
    return "\n".join(
        [f"# `{word}`", "", "Pages that name it:", "", *(f"* hem help {each}" for each in found), ""]
    )


def names() -> list[str]:
    """All names of settings and variables."""
    page = pages.find(_PAGE)
    if page is None:
        return []
    text = page.read_text("utf-8")
    settings = [row["setting"].strip("`") for row in _rows(text)]
    return [*settings, *dict.fromkeys(_VARIABLE.findall(text))]


def _called(row: dict[str, str]) -> set[str]:
    """Its names in lower case."""
    return {row[column].strip("`").lower() for column in ("setting", "environment") if row.get(column)}


def _rows(text: str) -> Iterator[dict[str, str]]:
    """Title → cell, of each setting."""
    titles: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in _BAR.split(line)[1:-1]] if line.startswith("|") else []
        if not cells:
            titles = []
        elif cells[0] == "setting":
            titles = cells
        elif titles and cells[0].startswith("`"):
            yield dict(zip(titles, cells, strict=True))
