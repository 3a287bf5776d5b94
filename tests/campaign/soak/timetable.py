"""What happens during a soak, when, and which errors the documents allow for it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = [
    "HAPPENINGS",
    "Attempt",
    "Event",
    "Happening",
    "Planned",
    "judged",
    "plan",
    "play",
    "read_attempts",
    "write_attempt",
]

#: Seconds after an event in which its traces may still show: a device that is known to be away, a restart.
TRACES = 3.0


@dataclass(frozen=True, slots=True)
class Happening:
    """A kind of event. ``allows``: classes of errors (``Attempt.error``) that the documents state for it, for
    workers of the kinds ``of`` (all when empty); ``because``: where."""

    name: str
    allows: frozenset[str]
    because: str
    of: frozenset[str] = frozenset()


def _row(name: str, allows: str, because: str, of: str = "") -> Happening:
    return Happening(name, frozenset(allows.split()), because, frozenset(of.split()))


HAPPENINGS: Mapping[str, Happening] = {
    row.name: row
    for row in (
        _row("token expiry", "", "agent.md: an expired token is cured once, for all"),
        _row("log collect", "", "owner/log.md: collecting hinders nobody"),
        _row("reboot", "away", "pkcs11.md: CKR_DEVICE_ERROR, sessions stay, try again"),
        _row("unplugged", "away", "python.md: HemUnreachable, nothing was processed"),
        _row("network cut", "away", "python.md: HemTimeout within the deadline"),
        _row("short cut", "", "configuration.md: who waits less than its deadline notices nothing"),
        _row("cloud down", "away clock", "errors.py: HemClockError, check-in did not cure it"),
        _row("clock unset", "", "agent.md: an unset clock is cured once, for all"),
        _row("certificate renewal", "away", "owner/certificates.md: the device restarts"),
        _row("resets", "away", "python.md: a request that may be repeated is, once"),
        _row("agent restart", "away", "recipes/ssh.md: SSH's keys are the agent's", of="ssh"),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """One happening, in Unix seconds."""

    name: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """One operation of a worker. ``right``: its result was verified; otherwise ``error`` is ``wrong`` or the
    class of what was told: ``away``, ``clock``, ``login``, ``other``."""

    kind: str
    what: str
    began: float
    ended: float
    right: bool
    uses: int = 0
    error: str = ""
    text: str = ""


def write_attempt(file: Path, attempt: Attempt) -> None:
    """Add a line, whole."""
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(asdict(attempt)) + "\n")


def read_attempts(folder: Path) -> list[Attempt]:
    """Those of all workers, in the order of their beginnings, without a last line that was cut."""
    found = []
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                found.append(Attempt(**json.loads(line)))
    return sorted(found, key=lambda each: each.began)


def judged(attempts: Iterable[Attempt], events: Sequence[Event]) -> dict[Attempt, Event | None]:
    """Every attempt that did not succeed → the event that explains it, ``None`` where none does. A wrong
    result is never explained."""
    return {each: _explanation(each, events) for each in attempts if not each.right}


def _explanation(attempt: Attempt, events: Sequence[Event]) -> Event | None:
    for event in events:
        kind = HAPPENINGS[event.name]
        meets = attempt.began <= event.ended + TRACES and attempt.ended >= event.began
        if meets and attempt.error in kind.allows and (not kind.of or attempt.kind in kind.of):
            return event
    return None


#: Part of a round → what happens then, and for how many seconds where it lasts.
_ROUND: tuple[tuple[float, str, float], ...] = (
    (0.04, "log collect", 0),
    (0.06, "agent restart", 0),
    (0.12, "reboot", 0),
    (0.18, "log collect", 0),
    (0.22, "unplugged", 8),
    (0.27, "token expiry", 0),
    (0.30, "certificate renewal", 0),
    (0.36, "network cut", 7),
    (0.44, "reboot", 0),
    (0.50, "cloud down", 8),
    (0.56, "clock unset", 0),
    (0.60, "short cut", 1.5),
    (0.64, "log collect", 0),
    (0.68, "unplugged", 3),
    (0.74, "resets", 5),
    (0.80, "certificate renewal", 0),
    (0.86, "network cut", 5),
    (0.89, "token expiry", 0),
    (0.92, "agent restart", 0),
    (0.96, "log collect", 0),
)
#: Seconds of a round at the most.
_LONGEST_ROUND = 1200.0


#: Seconds from the beginning, what happens, and how long it lasts.
Planned = Sequence[tuple[float, str, float]]


def plan(seconds: float) -> Planned:
    """Seconds from the beginning, what happens, and how long it lasts. The agent is restarted near the
    beginning and near the end, so that its memory can be watched in between."""
    rounds = max(1, round(seconds / _LONGEST_ROUND))
    found = [
        ((number + part) * seconds / rounds, name, lasts)
        for number in range(rounds)
        for part, name, lasts in _ROUND
    ]
    restarts = [when for when, name, _ in found if name == "agent restart"]
    return [each for each in found if each[1] != "agent restart" or each[0] in (restarts[0], restarts[-1])]


def play(planned: Planned, does: Mapping[str, Callable[[float], None]], seconds: float) -> list[Event]:
    """Let it happen; returns after ``seconds`` at the earliest."""
    began, events = time.time(), []
    for when, name, lasts in planned:
        time.sleep(max(0.0, began + when - time.time()))
        first = time.time()
        does[name](lasts)
        events.append(Event(name, first, time.time()))
    time.sleep(max(0.0, began + seconds - time.time()))
    return events
