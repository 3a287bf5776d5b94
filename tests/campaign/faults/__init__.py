"""Faults × operations: every fault of the emulator, and what befalls devices, comes before, during and after
every operation of every layer. Each cell gives the right answer or an error of ours, in time; keys and the
entries of the log are counted, and the same client works again afterwards.

Most cells are tried in this process, with the code of each layer over the emulated device; programs over TLS
are tried in ``programs``.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from random import Random

from campaign.faults import programs
from campaign.faults.cells import MOMENTS, Result, tried, usual_of
from campaign.faults.layers import LAYERS
from campaign.faults.mishaps import MISHAPS, Mishap
from campaign.faults.operations import PYTHON, Operation
from campaign.faults.world import World
from campaign.outcome import Effort, Figure, Outcome, Table

__all__ = ["OPERATIONS", "PROMISES", "chosen", "in_process", "run", "told"]

OPERATIONS: Sequence[Operation] = (*PYTHON, *LAYERS)
#: Kind of trouble → what there are none of.
PROMISES = {
    "wrong answer": "wrong answers",
    "hang": "hangs",
    "foreign exception": "foreign exceptions",
    "made, told as not made": "changes made that were told as not made",
    "keys doubled": "keys doubled",
    "keys lost": "keys lost",
    "entries unexplained": "log entries unexplained",
    "not well afterwards": "clients that did not work again",
}
_WHAT = (
    "Every fault that the emulator can be ordered to have, and what befalls a device as a whole, strikes "
    "every operation of every layer: before it, at each of its requests, from one moment on, and while a "
    "login is held. A cell is right when the answer is (by another client or the public key) or when an "
    "error of ours is told in time; the keys on the device and the entries of its log are counted before and "
    "after, and the same client must work again once the fault is over."
)
_MOST_FAILURES = 100

Cell = tuple[Operation, Mishap, str]


def run(effort: Effort) -> Outcome:
    """All cells at a share of 1."""
    logging.disable(logging.ERROR)  # what is told to a person at each of thousands of faults
    try:
        results = list(in_process(effort))
        results += programs.tried(effort)
    finally:
        logging.disable(logging.NOTSET)
    return told(results)


def in_process(effort: Effort, operations: Sequence[Operation] = OPERATIONS) -> Iterable[Result]:
    """The cells of ``effort``'s share that have the moment they name."""
    with World.made(effort.folder) as world:
        usual = {}
        for operation, mishap, moment in chosen(effort, operations):
            if operation not in usual:
                usual[operation] = usual_of(world, operation)
            entries, requests = usual[operation]
            if MOMENTS[moment][0] <= requests + 1:  # a cure may ask once more
                result = tried(world, operation, mishap, moment, entries)
                if result is not None:
                    yield result


def chosen(effort: Effort, operations: Sequence[Operation] = OPERATIONS) -> list[Cell]:
    """A share of all cells, by the seed: at any share every layer and every fault is among them, at a moment
    that all operations have."""
    random = Random(effort.seed)  # noqa: S311 - to repeat it
    cells = [(each, mishap, moment) for each in operations for mishap in MISHAPS for moment in MOMENTS]
    random.shuffle(cells)
    first: list[Cell] = []
    layers, faults = {each.layer for each in operations}, {each.row for each in MISHAPS}
    for cell in cells:
        operation, mishap, moment = cell
        if moment == "before" and (operation.layer in layers or mishap.row in faults):
            layers.discard(operation.layer)
            faults.discard(mishap.row)
            first.append(cell)
    there = {(id(operation), id(mishap), moment) for operation, mishap, moment in first}
    rest = [each for each in cells if (id(each[0]), id(each[1]), each[2]) not in there]
    return [*first, *rest[: max(0, effort.times(len(cells)) - len(first))]]


def told(results: Sequence[Result]) -> Outcome:
    """Figures and tables."""
    outcome = Outcome("faults", "Faults × operations", _WHAT)
    troubles = Counter(kind for each in results for kind in each.troubles)
    unknown = set(troubles) - set(PROMISES)
    if unknown:
        raise AssertionError(f"no promise is of {unknown}")
    outcome.figures.append(
        Figure("cells tried", len(results), "", "some in every layer", _everywhere(results))
    )
    outcome.figures += [
        Figure(name, troubles[kind], "", "0", troubles[kind] == 0) for kind, name in PROMISES.items()
    ]
    outcome.figures.append(
        Figure("answers right in spite of the fault", sum(each.outcome == "right" for each in results))
    )
    outcome.figures.append(Figure("slowest cell", max((each.seconds for each in results), default=0.0), "s"))
    lines = [line for each in results for line in each.lines()]
    outcome.failures = lines[:_MOST_FAILURES]
    outcome.tables = [_by_layer(results), _by_fault(results), _errors(results)]
    return outcome


def _everywhere(results: Sequence[Result]) -> bool:
    found = {each.operation.layer for each in results}
    return found >= {each.layer for each in OPERATIONS}


def _bad(results: Iterable[Result]) -> str:
    return str(sum(bool(each.troubles) for each in results))


def _counts(results: Sequence[Result]) -> tuple[str, ...]:
    right = sum(each.outcome == "right" for each in results)
    return str(len(results)), str(right), str(len(results) - right), _bad(results)


def _by_layer(results: Sequence[Result]) -> Table:
    layers = list(dict.fromkeys(each.operation.layer for each in results))
    rows = []
    for layer in layers:
        these = [each for each in results if each.operation.layer == layer]
        rows.append((layer, str(len({each.operation.name for each in these})), *_counts(these)))
    return Table(
        "By layer", ("layer", "operations", "cells", "right", "error of ours", "not as promised"), rows
    )


def _by_fault(results: Sequence[Result]) -> Table:
    """Layer × fault: right answers and errors."""
    layers = list(dict.fromkeys(each.operation.layer for each in results))
    faults = list(dict.fromkeys(each.row for each in MISHAPS))
    cells: dict[tuple[str, str], list[Result]] = {}
    for each in results:
        cells.setdefault((each.mishap.row, each.operation.layer), []).append(each)
    rows = [(fault, *(_cell(cells.get((fault, layer), [])) for layer in layers)) for fault in faults]
    return Table("Right answers + errors of ours, by fault and layer", ("fault", *layers), rows)


def _cell(results: Sequence[Result]) -> str:
    if not results:
        return ""
    right = sum(each.outcome == "right" for each in results)
    bad = sum(bool(each.troubles) for each in results)
    return f"{right} + {len(results) - right}" + (f" (**{bad} not as promised**)" if bad else "")


def _errors(results: Sequence[Result]) -> Table:
    found = Counter((each.operation.layer, each.outcome) for each in results if each.outcome != "right")
    rows = [(layer, name, str(number)) for (layer, name), number in sorted(found.items())]
    return Table("How the errors are told", ("layer", "error", "cells"), rows)
