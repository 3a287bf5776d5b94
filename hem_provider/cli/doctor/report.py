"""How findings are told: line by line as they are made, or as one document; and the exit status."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from hem_provider.cli import statuses
from hem_provider.cli.doctor.checking import Check, Outcome, State
from hem_provider.cli.doctor.mending import Mended
from hem_provider.cli.doctor.order import CHECKS
from hem_provider.cli.marks import Marks, folded
from hem_provider.cli.terminal import moving
from hem_provider.cli.wording import counted
from hem_provider.device.health import ANSWERED, Finding, Level

__all__ = ["Waiting", "document", "exit_status", "print_mended", "print_outcome", "print_summary"]

#: Names that say that a login, a right or an approval is refused.
_REFUSALS = frozenset(
    {"approval-denied", "approval-missing", "login-refused", "login-unavailable", "scope-denied"}
)
_NAME = max(len(each.name) for each in CHECKS)
#: Below so many columns a check's name stands on a line of its own.
_NARROW = 60


class Waiting:
    """A line that names what is being looked at, gone when that is done; on terminals alone."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown and moving(sys.stdout)

    def begin(self, check: Check) -> None:
        """The check is made now."""
        if self._shown:
            marks = Marks(sys.stdout)
            line = f"{' ' * (marks.width + 1)}{check.name} {marks.text('…')}"
            print(marks.paint(line, "2"), end="\r", flush=True)

    def end(self) -> None:
        """It is done."""
        if self._shown:
            print("\x1b[K", end="")


def print_outcome(outcome: Outcome) -> None:
    """One check, with cause and next command of what is not right."""
    marks = Marks(sys.stdout)
    sign, name = marks.sign(outcome.state), outcome.check.name
    told = outcome.told if outcome.state is not State.NOT_TRIED else f"not tried: {outcome.told}"
    indent = marks.width + 1
    if marks.columns < _NARROW:
        lines = [f"{sign} {name}", *folded(marks.text(told), " " * indent, marks.columns, indent)]
    else:
        indent += _NAME + 2
        lines = folded(marks.text(told), f"{sign} {name:{_NAME}}  ", marks.columns, indent)
    for finding in outcome.findings:
        if finding.cause != outcome.told:
            lines += folded(marks.text(finding.cause), " " * indent, marks.columns, indent)
        lines += _advice(marks, finding, indent)
    print("\n".join(lines), flush=True)


def _advice(marks: Marks, finding: Finding, indent: int) -> list[str]:
    if not finding.advice:
        return []
    first = f"{' ' * indent}{marks.paint('->' if not marks.unicode else '→', '1')} "
    arrow = 3 if not marks.unicode else 2
    return folded(marks.text(finding.advice), first, marks.columns, indent + arrow)


def print_mended(mended: Sequence[Mended]) -> None:
    """What --fix has done."""
    marks = Marks(sys.stdout)
    print("\nRepaired:" if any(each.done for each in mended) else "\nNothing was repaired:")
    for each in mended:
        sign = marks.sign("ok" if each.done else "warning")
        print(
            "\n".join(
                folded(f"{each.fix}: {marks.text(each.told)}", f"{sign} ", marks.columns, marks.width + 1)
            )
        )
    if any(each.done for each in mended):
        print("\nWhat is otherwise now:")


def print_summary(outcomes: Sequence[Outcome], calls: int, logins: int) -> None:
    """How many of what, and what it cost."""
    marks = Marks(sys.stdout)
    found = [finding for outcome in outcomes for finding in outcome.findings]
    told = ", ".join(filter(None, (_counted(found, Level.FAULT), _counted(found, Level.WARNING))))
    left = sum(outcome.state is State.NOT_TRIED for outcome in outcomes)
    told = (told or "Nothing wrong was found") + (f"; {left} not tried" if left else "")
    words = f"{told}. {counted(calls, 'call')}, {counted(logins, 'login')}."
    print("\n" + "\n".join(folded(words, "", marks.columns, 0)))


def _counted(found: Sequence[Finding], level: Level) -> str:
    names = list(dict.fromkeys(each.name for each in found if each.level is level))
    number = sum(each.level is level for each in found)
    return f"{number} {level}{'s' if number != 1 else ''} ({', '.join(names)})" if names else ""


def exit_status(outcomes: Sequence[Outcome]) -> int:
    """0 where nothing is a fault; else by the first one: 3 where the device is not reached, 4 where it
    refuses, 1 for anything else."""
    for outcome in outcomes:
        for finding in outcome.findings:
            if finding.level is not Level.FAULT:
                continue
            if outcome.check.reaching and not outcome.usable and finding.name not in ANSWERED:
                return statuses.NOT_REACHED
            return statuses.REFUSED if finding.name in _REFUSALS else statuses.FAILED
    return statuses.DONE


def document(
    outcomes: Sequence[Outcome], mended: Sequence[Mended], name: str | None, calls: int, logins: int
) -> dict[str, Any]:
    """As ``docs/schemas/doctor.json`` says."""
    return {
        "device": name,
        "status": exit_status(outcomes),
        "checks": [each.document() for each in outcomes],
        "fixed": [each.document() for each in mended],
        "calls": calls,
        "logins": logins,
    }
