"""Entries of the catalogue, and how they are written.

Entries are a text: a line ``NAME: what it is``, then indented ``because:`` what causes it and ``do:`` what to
do about it. Any part may go on in lines that are indented more. Text in backquotes is typed or shown; names
of other entries and of pages (``docs/agent.md``) become links on the page of errors.
"""

from __future__ import annotations

import re

from hem_provider.records import frozen

__all__ = ["Entry", "written"]

_ENTRY = re.compile(
    r"^(?P<name>[\w-]+): (?P<what>.+?)\n  because: (?P<cause>.+?)\n  do: (?P<cure>.+?)(?=^[\w-]+: |\Z)",
    re.MULTILINE | re.DOTALL,
)


@frozen
class Entry:
    """``name`` is stable: programs, messages and links have it."""

    name: str
    what: str
    cause: str
    cure: str

    @property
    def anchor(self) -> str:
        """Where it stands on the page of errors, as a forge and MkDocs name it."""
        return self.name.lower()

    def advice(self) -> str:
        """Cause and cure, in Markdown."""
        return f"**Why:** {self.cause}\n\n**What to do:** {self.cure}\n"


def written(text: str) -> tuple[Entry, ...]:
    """The entries of a text. ``ValueError`` where one is not as the module says.

    >>> written("E-COLD: it is cold.\\n  because: winter.\\n  do: wait.")[0].cause
    'winter.'
    """
    found = tuple(
        Entry(each["name"], *(" ".join(each[part].split()) for part in ("what", "cause", "cure")))
        for each in _ENTRY.finditer(text.lstrip("\n"))
    )
    names = re.findall(r"^([\w-]+): ", text, re.MULTILINE)
    if names != [each.name for each in found]:
        raise ValueError(f"{names} are written, and {[each.name for each in found]} read")
    return found
