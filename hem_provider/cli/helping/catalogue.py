"""The catalogue: every entry, by its group and by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches

from hem_provider.cli.helping.classes import CLASSES, OTHERS
from hem_provider.cli.helping.entries import Entry
from hem_provider.cli.helping.kinds import KINDS
from hem_provider.cli.helping.numbers import AGENT, DEVICE, EXITS
from hem_provider.cli.helping.returns import RETURNS

__all__ = ["GROUPS", "KINDS", "NAMES", "entries", "similar"]

#: Title → entries, in the order of the page of errors.
GROUPS: Mapping[str, tuple[Entry, ...]] = {
    "Kinds of failures": KINDS,
    "Exceptions": CLASSES,
    "Exceptions of other modules": OTHERS,
    "Return values of the PKCS#11 module": RETURNS,
    "HTTP statuses of the device": DEVICE,
    "Answers of the agent's own": AGENT,
    "Exit statuses of hem": EXITS,
}
#: Name in capitals → entry.
NAMES: Mapping[str, Entry] = {each.name.upper(): each for those in GROUPS.values() for each in those}
#: What may be left away of a name.
_BEGINNINGS = ("", "E-", "CKR_", "HTTP-", "AGENT-", "EXIT-")


def entries(word: str) -> list[Entry]:
    """Those that a word names, whatever its case; of a number all that it may be. ``HTTP 401`` and
    ``hem_provider.errors.HemTimeout`` are names, too.

    >>> [each.name for each in entries("401")]
    ['HTTP-401', 'AGENT-401']
    """
    name = word.strip().rpartition(".")[2].upper().replace(" ", "-")
    found = [NAMES[each + name] for each in _BEGINNINGS if each + name in NAMES]
    return found if name.isdigit() else found[:1]


def similar(word: str, others: list[str]) -> list[str]:
    """Names of entries, and of ``others``, that are nearly ``word``."""
    known = {each.upper(): each for each in others} | {
        each.upper(): entry.name for each, entry in NAMES.items()
    }
    short = {re.split("[-_/]", name, maxsplit=1)[-1]: shown for name, shown in known.items()}
    typed = word.upper()
    near = [known[each] for each in get_close_matches(typed, known, cutoff=0.7)]
    near += [short[each] for each in get_close_matches(typed, short, n=2, cutoff=0.75)]
    near += [shown for name, shown in known.items() if typed in name and len(typed) > 2]
    return list(dict.fromkeys(near))[:5]
