"""A run's results as one JSON file, and as Markdown: a page for people, and all figures for whoever asks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.commands import COLD, THROUGH, WARM
from benchmarks.gate import ALLOWANCE, Limit, judged
from benchmarks.laboratory import Fact
from benchmarks.waits import WAITS
from hem_provider.measuring.figures import Figure, markdown
from hem_provider.measuring.measure import FLOOR

__all__ = [
    "BEGIN",
    "END",
    "LEAST_ROUNDS",
    "MOST_LOAD",
    "Run",
    "read_run",
    "replace_section",
    "summary",
    "tables",
    "unfit",
    "write_run",
]

#: The second tells of each figure which floor it was compared with; in the first it was always the same one.
_FORMAT, _FORMATS = 2, (1, 2)
#: Figures are published of a quiet machine and of enough rounds. The load at the end is the run's own.
MOST_LOAD, LEAST_ROUNDS = 0.5, 100
#: The generated part of a document lies between these lines.
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

_TITLES: Mapping[str, str] = {
    "operations": "Each operation, each layer; a device that answers at once",
    "hardware": "As hardware answers",
    "commands": "Whole commands; a device that answers at once; × floor: of one call",
    "waits": "Whole commands, as hardware answers; × floor: of one call",
    "agent": "Through the agent",
    "start": "Starting",
    "scale": "Many keys",
    "many at once": "Many callers",
    "age": "Files, beside age; processor time",
}


@dataclass(frozen=True, slots=True)
class Run:
    """All of one run. ``load``: the machine's load average at its start and end."""

    when: str
    surroundings: Mapping[str, str]
    load: tuple[float, float]
    rounds: int
    figures: Sequence[Figure]
    facts: Sequence[Fact]


def write_run(run: Run, path: Path) -> None:
    """The JSON document."""
    document: dict[str, Any] = {
        "format": _FORMAT,
        "when": run.when,
        "surroundings": dict(run.surroundings),
        "load": list(run.load),
        "rounds": run.rounds,
        "facts": [asdict(each) for each in run.facts],
        "figures": [each.document() for each in run.figures],
    }
    path.write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")


def read_run(path: Path) -> Run:
    """A document that ``write_run`` wrote; ``ValueError`` for any other."""
    document = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict) or document.get("format") not in _FORMATS:
        raise ValueError(f"{path}: not the results of a benchmark run (format {_FORMAT})")
    return Run(
        when=document["when"],
        surroundings=document["surroundings"],
        load=(document["load"][0], document["load"][1]),
        rounds=document["rounds"],
        figures=[Figure(**{**each, "samples": tuple(each["samples"])}) for each in document["figures"]],
        facts=[Fact(**each) for each in document["facts"]],
    )


def unfit(load: float, rounds: int) -> list[str]:
    """Why a run is not fit to be published, in words; empty when it is. ``load``: at its start."""
    words = []
    if load > MOST_LOAD:
        words.append(f"the machine was not quiet: load average {load:g}, at most {MOST_LOAD:g}")
    if rounds < LEAST_ROUNDS:
        words.append(f"{rounds} rounds, at least {LEAST_ROUNDS}")
    return words


def summary(run: Run) -> str:
    """Markdown of a page for people: what one waits for, in seconds, and whether what must hold does."""
    return "\n\n".join([_taken(run), _waits(run), _held(run)])


def _waits(run: Run) -> str:
    rows = [each for each in run.figures if each.group == WAITS and each.layer != FLOOR]
    lines = ["| | first time | later | with the agent | by other means |", "|---|--:|--:|--:|---|"]
    for job in dict.fromkeys(each.operation for each in rows):
        found = {each.layer: each for each in rows if each.operation == job}
        ours = [_cost(found.pop(layer)) if layer in found else "–" for layer in (COLD, WARM, THROUGH)]
        others = "; ".join(f"{layer}: {each.median:.2f} s" for layer, each in found.items())
        lines.append(f"| {job} | {' | '.join(ours)} | {others} |")
    return "\n".join(lines)


def _cost(figure: Figure) -> str:
    return f"{figure.median:.2f} s, {figure.calls} call{'' if figure.calls == 1 else 's'}"


def _held(run: Run) -> str:
    worst = _worst(run.figures)
    kept = sum(not limit.exceeded_by(figure) for limit, figure in worst.items())
    lines = [f"Of {len(worst)} limits on ratios, calls, logins and evenness {kept} hold."]
    for limit, figure in worst.items():
        value = getattr(figure, limit.measure.value)
        if limit.exceeded_by(figure):
            lines.append(f"- **{_named(limit)}** is {value:.4g}, at most {limit.most:g}")
        elif limit.wanted is not None and value > limit.wanted:
            lines.append(f"- {_named(limit)} is {value:.4g}; {limit.wanted:g} is wanted")
    return "\n".join([lines[0], "", *lines[1:]]) if len(lines) > 1 else lines[0]


def tables(run: Run) -> str:
    """Markdown of all figures: where and when, what must hold, and a table for each group."""
    surroundings = "\n".join(f"- {name}: {value}" for name, value in run.surroundings.items())
    parts = [_taken(run), surroundings, _promises(run)]
    for group, title in _TITLES.items():
        rows = [each for each in run.figures if each.group == group]
        if rows:
            parts.append(f"### {title}\n\n{markdown(rows)}")
    for title, memory in (("Memory", True), ("Differences", False)):
        lines = [
            f"- {each.name}: {each.value:,.0f} {each.unit}"
            for each in run.facts
            if (each.unit == "KiB") == memory
        ]
        if lines:
            parts.append(f"### {title}\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def replace_section(text: str, section: str) -> str:
    """``text`` with what is between the two marks replaced; ``ValueError`` when they are not there."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document lacks the marks {BEGIN} and {END}")
    return f"{head}{BEGIN}\n\n{section}\n\n{END}{tail}"


def _taken(run: Run) -> str:
    line = (
        f"Taken {run.when}, {run.rounds} rounds, load average {run.load[0]:g} at the start and "
        f"{run.load[1]:g} at the end."
    )
    if not (faults := unfit(run.load[0], run.rounds)):
        return line
    return f"{line}\n\n**Provisional.** Of ratios and seconds this run tells little: {'; '.join(faults)}."


def _worst(figures: Sequence[Figure]) -> Mapping[Limit, Figure]:
    """Each limit with the worst of the figures it is about."""
    worst: dict[Limit, Figure] = {}
    for figure, limit in judged(figures):
        value, former = getattr(figure, limit.measure.value), worst.get(limit)
        if value is not None and (former is None or value > getattr(former, limit.measure.value)):
            worst[limit] = figure
    return worst


def _named(limit: Limit) -> str:
    layer = limit.layer or "any layer"
    return f"{limit.group}: {limit.operation.replace('*', ' …')}, {layer}: {limit.measure.value}"


def _promises(run: Run) -> str:
    rows = ["| what must hold | at most | measured | |", "|---|--:|--:|---|"]
    for limit, figure in _worst(run.figures).items():
        value = getattr(figure, limit.measure.value)
        digits = str(value) if isinstance(value, int) else f"{value:.3f}"
        verdict = "✔" if value <= limit.most else "✘" if limit.exceeded_by(figure) else "within noise"
        if limit.wanted is not None and value > limit.wanted:
            verdict += f", {limit.wanted:g} wanted"
        rows.append(f"| {_named(limit)} | {limit.most:g} | {digits} | {verdict} |")
    note = f"Ratios may be {ALLOWANCE - 1:.0%} worse for noise before the gate closes; calls may not."
    return "### What must hold\n\n" + "\n".join(rows) + f"\n\n{note}"
