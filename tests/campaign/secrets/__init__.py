"""Secrets that are marked, and every place in which they could turn up."""

from __future__ import annotations

from collections.abc import Sequence

from campaign.outcome import Effort, Figure, Outcome
from campaign.secrets.desk import Desk
from campaign.secrets.programs import PROGRAMS
from campaign.secrets.table import told

__all__ = ["run", "search"]

_ALL = tuple(name for name in PROGRAMS if name != "leak")
_WHAT = (
    "Passphrases, the credential derived from one, tokens, a password of the keyring, a session key and "
    "decrypted data are marked, so that they are recognised wherever they turn up: raw, in hexadecimal, "
    "base64 or UTF-16. All programs work with them. Searched are what they say and log at their loudest, "
    "tracebacks, cores, files, command lines and environments of all processes, what goes over the "
    "network and over the agent's socket, and memory after logout, lock, C_Finalize and close(). Where "
    "the documents say that a secret may be, the row says so."
)


def run(effort: Effort) -> Outcome:
    """All programs, once: there is nothing to repeat."""
    return search(effort, _ALL)


def search(effort: Effort, programs: Sequence[str]) -> Outcome:
    """These programs, then what they left."""
    outcome = Outcome("secrets", "Where secrets are", _WHAT)
    with Desk(effort.folder) as desk:
        for name in programs:
            try:
                PROGRAMS[name](desk)
            except (RuntimeError, OSError, AssertionError) as error:
                outcome.failures.append(f"{name} was not searched to its end: {error}")
        desk.look_everywhere()
    outcome.figures.append(Figure("groups of programs", len(programs)))
    told(outcome, desk.findings)
    return outcome
