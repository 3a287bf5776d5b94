"""``docs/development/device-api.md`` as data: its headings, its tables, and who cites which section.

A citation is "device API §13.6", with lists and ranges ("§11.2, §11.3", "§13.2–§13.7"), on one line or
wrapped. In a file that names the device API, every "§" belongs to it that no other document stands before
("RFC 7468 §2").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["PAGE", "ROOT", "citations", "headings", "ownerless", "sections_of", "sources", "table_after"]

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "development" / "device-api.md"

_FOLDERS = ("hem_provider", "shim", "tests", "benchmarks", "docs")
_BUILT = ("build", "__pycache__")
_SUFFIXES = (".py", ".c", ".h", ".md", ".toml", ".java")
_NUMBER = r"§(\d+(?:\.\d+)*)"
_LIST = rf"{_NUMBER}(?:(?:\s?[–-]\s?|, | and | or | to )§?\d+(?:\.\d+)*)*"
#: Documents whose sections are none of ours.
_OTHERS = re.compile(
    rf"(?:RFC \d+|SP 800-\w+|X\.690|FIPS \d+|specification|\"[^\"]{{1,80}}\"),? (?:§[A-Z]|{_LIST})"
)
_OURS = re.compile(r"device API", re.IGNORECASE)
_MARKS = re.compile(r"\n[ \t]*(?:#:|#|\*|//)?[ \t]*")


def headings(text: str) -> list[tuple[str, str]]:
    """Number and title of each numbered heading, in order; what stands in code blocks is no heading."""
    plain = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    found = re.findall(r"^#{2,4} (\d+(?:\.\d+)*)\.? (.+)$", plain, re.MULTILINE)
    return [(number, title) for number, title in found]


def table_after(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading (its start, as written), without its two head lines."""
    rest = text[text.index(f"\n{heading}") :]
    rows: list[list[str]] = []
    for line in rest.splitlines()[2:]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))])
        elif rows:
            break
    return rows[2:]


def ownerless(text: str) -> bool:
    """Whether a text has a "§" that no document stands before, and does not name the device API."""
    own = _own(text)
    return not _OURS.search(own) and "§" in own


def sections_of(text: str) -> list[str]:
    """The sections of the device API that a text cites, both ends of a range."""
    own = _own(text)
    if not _OURS.search(own):
        return []
    return [number for run in re.finditer(_LIST, own) for number in re.findall(r"\d+(?:\.\d+)*", run[0])]


def _own(text: str) -> str:
    """A text on one line, without comment marks and without what it cites of other documents."""
    return _OTHERS.sub("", _MARKS.sub(" ", text))


def sources() -> Iterator[Path]:
    """The files that may cite the page, itself apart."""
    yield from sorted(ROOT.glob("*.md"))
    for folder in _FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            built = set(path.parts) & set(_BUILT)
            if path.suffix in _SUFFIXES and path != PAGE and not built and path.is_file():
                yield path


def citations() -> dict[str, list[str]]:
    """File → the sections that it cites."""
    found = {str(path.relative_to(ROOT)): sections_of(path.read_text("utf-8")) for path in sources()}
    return {file: sections for file, sections in found.items() if sections}
