"""Secret × place → found or not, beside what the documents promise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from campaign.outcome import Figure, Outcome, Table

__all__ = ["MAY", "NEVER", "Finding", "Promise", "told"]


@dataclass(frozen=True, slots=True)
class Promise:
    """``never``: it must not be there; otherwise it may. ``because``: the sentence of the documents."""

    never: bool
    because: str


NEVER = Promise(True, "security.md: neither disk, lists of processes, logs nor messages tell a secret")
MAY = Promise(False, "security.md: a login is in the memory of a process")


@dataclass(frozen=True, slots=True)
class Finding:
    """Of one ``secret`` at one ``place`` of one ``program``."""

    program: str
    secret: str
    place: str
    found: bool
    promise: Promise

    @property
    def broken(self) -> bool:
        return self.found and self.promise.never


def told(outcome: Outcome, findings: Iterable[Finding]) -> None:
    """Figures, failures and the table."""
    found = list(findings)
    broken = [each for each in found if each.broken]
    promised = [each for each in found if each.promise.never]
    outcome.failures += [
        f"{each.program}: {each.secret} in {each.place}: {each.promise.because}" for each in broken
    ]
    outcome.figures += [
        Figure("places searched", len(found)),
        Figure("secrets where the documents say that there are none", len(broken), "",
               f"0, in {len(promised)} places", kept=not broken and bool(promised)),
    ]  # fmt: skip
    outcome.tables.append(
        Table(
            "By program, secret and place", ("program", "secret", "place", "found", "promised", "because"),
            [(each.program, each.secret, each.place, "yes" if each.found else "no",
              "not there" if each.promise.never else "may be there", each.promise.because)
             for each in _merged(found)],
        )
    )  # fmt: skip


def _merged(found: Iterable[Finding]) -> list[Finding]:
    """One row for the secrets of a program that are alike."""
    rows: dict[tuple[object, ...], list[str]] = {}
    for each in found:
        rows.setdefault((each.program, each.place, each.found, each.promise), []).append(each.secret)
    return [
        Finding(program, ", ".join(dict.fromkeys(names)), place, was, promise)  # type: ignore[arg-type]
        for (program, place, was, promise), names in rows.items()
    ]
