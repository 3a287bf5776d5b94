"""What a part of the campaign found, and its file."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.surroundings import surroundings

__all__ = [
    "Effort",
    "Figure",
    "Outcome",
    "Series",
    "Table",
    "is_fuller",
    "read_outcome",
    "stamped",
    "write_outcome",
]

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard to try. ``share`` multiplies a part's own counts and times: 1 is the whole campaign, a test
    takes far less. The same ``seed`` tries the same things, as far as threads and processes let it.
    ``folder`` is empty and the part's own; it may leave there what tells of a failure."""

    folder: Path
    share: float = 1.0
    seed: int = 1

    def times(self, whole: int, *, least: int = 1) -> int:
        """``whole`` repetitions or seconds of a full campaign, at this effort."""
        return max(least, round(whole * self.share))


@dataclass(frozen=True, slots=True)
class Figure:
    """One number; where it is promised something, ``promise`` says what and ``kept`` whether it holds."""

    name: str
    value: float
    unit: str = ""
    promise: str = ""
    kept: bool | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under ``columns``."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Series:
    """One picture: lines by name, each a sequence of (x, y). ``name`` is its file's."""

    name: str
    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    logarithmic: bool = False


@dataclass(slots=True)
class Outcome:
    """``failures``: each a line that says what was tried, what came and what should have come. A part that
    tried nothing is a failure too: a figure of 0 attempts promises nothing."""

    part: str
    title: str
    what: str
    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    share: float = 1.0
    seed: int = 1
    when: str = ""
    seconds: float = 0.0
    surroundings: Mapping[str, str] = field(default_factory=dict)

    def problems(self) -> list[str]:
        """All failures, and the promises that do not hold."""
        broken = [f"{each.name}: {each.value:g} {each.unit}, promised: {each.promise}".replace(" ,", ",")
                  for each in self.figures if each.kept is False]  # fmt: skip
        return [*self.failures, *broken]


def stamped(outcome: Outcome, effort: Effort, began: float) -> Outcome:
    """With when, how long, how hard and where. ``began`` is of ``time.monotonic``."""
    outcome.share, outcome.seed = effort.share, effort.seed
    outcome.when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    outcome.seconds = round(time.monotonic() - began, 1)
    outcome.surroundings = surroundings()
    return outcome


def write_outcome(outcome: Outcome, folder: Path) -> Path:
    """``PART.json`` in ``folder``."""
    path = folder / f"{outcome.part}.json"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"format": _FORMAT, **asdict(outcome)}, indent=1) + "\n", encoding="utf-8")
    return path


def is_fuller(outcome: Outcome, folder: Path) -> bool:
    """Whether ``outcome`` may replace what ``write_outcome`` put there: one of less effort may not, unless it
    found something."""
    path = folder / f"{outcome.part}.json"
    return bool(outcome.problems()) or not path.exists() or outcome.share >= read_outcome(path).share


def read_outcome(path: Path) -> Outcome:
    """A file that ``write_outcome`` wrote; ``ValueError`` for any other."""
    document = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict) or document.pop("format", None) != _FORMAT:
        raise ValueError(f"{path}: not an outcome of the campaign (format {_FORMAT})")
    document["figures"] = [Figure(**each) for each in document["figures"]]
    document["tables"] = [Table(**each) for each in document["tables"]]
    document["series"] = [Series(**each) for each in document["series"]]
    return Outcome(**document)
