"""A run's results as one JSON file, and as the Markdown that goes into ``docs/performance.md``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.gate import ALLOWANCE, Limit, judged
from benchmarks.laboratory import Fact
from hem_provider.measuring.figures import Figure, markdown

__all__ = ["BEGIN", "END", "Run", "read_run", "replace_section", "tables", "write_run"]

_FORMAT = 1
#: The generated part of the document lies between these lines.
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

_TITLES: Mapping[str, str] = {
    "operations": "Each operation, each layer; a device that answers at once",
    "hardware": "As hardware answers",
    "commands": "Whole commands; a device that answers at once",
    "commands ppa": "Whole commands, as hardware answers",
    "agent": "With an agent and without; a device that answers at once",
    "agent ppa": "With an agent and without, as hardware answers",
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
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise ValueError(f"{path}: not the results of a benchmark run (format {_FORMAT})")
    return Run(
        when=document["when"],
        surroundings=document["surroundings"],
        load=(document["load"][0], document["load"][1]),
        rounds=document["rounds"],
        figures=[Figure(**{**each, "samples": tuple(each["samples"])}) for each in document["figures"]],
        facts=[Fact(**each) for each in document["facts"]],
    )


def tables(run: Run) -> str:
    """Markdown: where and when, what must hold, and a table for each group."""
    parts = [_surroundings(run), _promises(run)]
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


def _surroundings(run: Run) -> str:
    lines = [f"Taken {run.when}, {run.rounds} rounds, load average {run.load[0]:g} at the start and "
             f"{run.load[1]:g} at the end."]  # fmt: skip
    return "\n".join([*lines, "", *(f"- {name}: {value}" for name, value in run.surroundings.items())])


def _promises(run: Run) -> str:
    """A row for each limit, with the worst of the figures it is about."""
    worst: dict[Limit, Figure] = {}
    for figure, limit in judged(run.figures):
        value, former = getattr(figure, limit.measure.value), worst.get(limit)
        if value is not None and (former is None or value > getattr(former, limit.measure.value)):
            worst[limit] = figure
    rows = ["| what must hold | at most | measured | |", "|---|--:|--:|---|"]
    for limit, figure in worst.items():
        value = getattr(figure, limit.measure.value)
        digits = str(value) if isinstance(value, int) else f"{value:.3f}"
        verdict = "✔" if value <= limit.most else "✘" if limit.exceeded_by(figure) else "within noise"
        if limit.wanted is not None and value > limit.wanted:
            verdict += f", {limit.wanted:g} wanted"
        layer = limit.layer or "any layer"
        what = f"{limit.group}: {limit.operation.replace('*', ' …')}, {layer}: {limit.measure.value}"
        rows.append(f"| {what} | {limit.most:g} | {digits} | {verdict} |")
    note = f"Ratios may be {ALLOWANCE - 1:.0%} worse for noise before the gate closes; calls may not."
    return "### What must hold\n\n" + "\n".join(rows) + f"\n\n{note}"
