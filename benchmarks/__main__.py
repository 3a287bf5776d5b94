"""``make bench``: every figure of the project on emulated devices of its own.

Prints a table for each group. ``--output FOLDER`` writes ``results.json``, ``report.md`` and the
pictures; ``--publish`` puts them into ``docs/``, of a quiet machine and enough rounds alone; ``--draw`` does
what they do with the results of an earlier run. ``--gate`` ends with status 1 when a ratio, a call count,
memory or the evenness of waiting is worse than it may be, or a floor is none.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.age import measure_age
from benchmarks.agent import BY_MANY, measure_agent
from benchmarks.auditlog import measure_auditlog
from benchmarks.crowd import CROWD, measure_crowd, waits
from benchmarks.gate import below, broken, grown
from benchmarks.laboratory import Fact, own_way
from benchmarks.memory import measure_memory
from benchmarks.operations import OperationTimes
from benchmarks.report import Run, read_run, replace_section, summary, tables, unfit, write_run
from benchmarks.requests_script import signer_of
from benchmarks.scale import SIZES, measure_scale
from benchmarks.softhsm import SoftHsm
from benchmarks.startup import Startup
from benchmarks.surroundings import load, surroundings
from benchmarks.waits import Waits
from hem_provider.installation import explained
from hem_provider.measuring.figures import Figure, plain

DOCS = Path(__file__).parents[1] / "docs"
GROUPS = (
    "start",
    "operations",
    "hardware",
    "commands",
    "waits",
    "agent",
    "scale",
    "crowd",
    "memory",
    "age",
    "auditlog",
)


def main() -> int:
    """Measure, print, write, judge."""
    options = _options()
    if options.draw is not None:
        _publish(options.draw, options.output or DOCS / "performance", pages=options.output is None)
        return 0
    at_start, when = load(), time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    figures: list[Figure] = []
    facts: list[Fact] = []
    with own_way(), tempfile.TemporaryDirectory(prefix="hem-bench-") as folder:
        for group in _measure(Path(folder), options, facts):
            figures += group
            print(plain([each for each in group if each.samples]), end="\n\n", flush=True)
            if group and (group[0].group == CROWD or group[0].operation == BY_MANY):
                print(waits(group), end="\n\n", flush=True)
    for fact in facts:
        print(f"{fact.name}: {fact.value:,.0f} {fact.unit}")
    run = Run(when, surroundings(), (at_start, load()), options.rounds, figures, facts)
    if options.output is not None:
        _write(run, options.output, pages=False)
    if options.publish:
        _write(run, DOCS / "performance", pages=True)
    problems = [*broken(figures), *grown(facts), *below(figures)]
    for each in problems:
        print(f"worse than it may be: {each}")
    return 1 if problems and options.gate else 0


def _measure(folder: Path, options: argparse.Namespace, facts: list[Fact]) -> Iterator[list[Figure]]:
    """Group by group. A process takes as long as many calls: it is run in fewer rounds."""
    rounds, wanted = options.rounds, options.groups
    few = max(2, rounds // 10)
    softhsm = _softhsm(folder / "softhsm")
    steps: dict[str, Callable[[], Iterator[list[Figure]]]] = {
        "start": lambda: _starts(folder / "start", softhsm, max(2, rounds // 4), facts),
        "operations": lambda: _operations(folder / "operations", softhsm, options, hardware=False),
        "hardware": lambda: _operations(folder / "hardware", None, options, hardware=True),
        "commands": lambda: iter([_waits(folder / "commands", softhsm, options, hardware=False)]),
        "waits": lambda: iter([_waits(folder / "waits", softhsm, options, hardware=True)]),
        "agent": lambda: measure_agent(folder / "agent", rounds, facts),
        "scale": lambda: iter([measure_scale(folder / "scale", max(2, few // 2), options.largest, facts)]),
        "crowd": lambda: iter([measure_crowd(folder / "crowd", rounds)]),
        "memory": lambda: _memory(folder / "memory", rounds, facts),
        "age": lambda: iter([measure_age(folder / "age", few)]),
        "auditlog": lambda: _auditlog(folder / "auditlog", facts),
    }
    for name, step in steps.items():
        if name in wanted:
            yield from step()


def _starts(folder: Path, softhsm: SoftHsm | None, rounds: int, facts: list[Fact]) -> Iterator[list[Figure]]:
    startup = Startup(folder, softhsm)
    yield startup.measure(rounds)
    facts += startup.memory()


def _memory(folder: Path, rounds: int, facts: list[Fact]) -> Iterator[list[Figure]]:
    facts += measure_memory(folder, local=10_000 * rounds, remote=100 * rounds)
    yield from ()


def _auditlog(folder: Path, facts: list[Fact]) -> Iterator[list[Figure]]:
    facts += measure_auditlog(folder)
    yield from ()


def _waits(
    folder: Path, softhsm: SoftHsm | None, options: argparse.Namespace, *, hardware: bool
) -> list[Figure]:
    """Six rounds of a hundred: fewer leave open where the median lies."""
    waits = Waits(
        folder, hardware=hardware, softhsm=softhsm, client=options.client, size=options.size * 1024**2
    )
    return waits.measure(max(1, options.rounds * 6 // 100))


def _operations(
    folder: Path, softhsm: SoftHsm | None, options: argparse.Namespace, *, hardware: bool
) -> Iterator[list[Figure]]:
    folder.mkdir(parents=True)
    with OperationTimes(folder, softhsm, options.client) as operations:
        if hardware:
            yield operations.measure_hardware(max(2, options.rounds // 5))
        else:
            yield operations.measure(options.rounds, options.only)


def _softhsm(folder: Path) -> SoftHsm | None:
    try:
        return SoftHsm(folder)
    except OSError as error:
        print(f"left out: {error}", file=sys.stderr)
        return None


def _write(run: Run, folder: Path, *, pages: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_run(run, folder / "results.json")
    _publish(folder / "results.json", folder, pages=pages)


def _publish(results: Path, folder: Path, *, pages: bool) -> None:
    """Pictures and text of ``results``, which are rounded: the pages are held to them. ``pages``: of the
    documentation, beside ``folder``; else one report in it."""
    run = read_run(results)
    folder.mkdir(parents=True, exist_ok=True)
    if pages:
        for page, text in (("performance.md", summary(run)), ("performance-figures.md", tables(run))):
            path = folder.with_name(page)
            path.write_text(replace_section(path.read_text("utf-8"), text), "utf-8")
    else:
        report = f"# Figures\n\n{summary(run)}\n\n{tables(run)}\n"
        (folder / "report.md").write_text(report, encoding="utf-8")
    try:
        from benchmarks.plots import draw

        draw(run, folder)
    except ModuleNotFoundError as error:
        print(explained(error, "drawing") or f"no pictures: {error}", file=sys.stderr)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=_rounds, default=100, help="times each case is run (default 100)")
    parser.add_argument("--only", metavar="TEXT", help="of the operations, those whose name contains it")
    parser.add_argument(
        "--groups", nargs="+", choices=GROUPS, default=GROUPS, metavar="GROUP", help=", ".join(GROUPS)
    )
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="most keys on a device (scale)")
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="write results.json, report and pictures"
    )
    parser.add_argument(
        "--client", type=_client, metavar="FILE", help="another client's signer(), see docs/performance.md"
    )
    parser.add_argument(
        "--size", type=int, default=1024, metavar="MIB", help="of the file that is signed and encrypted"
    )
    parser.add_argument("--publish", action="store_true", help="put the results into docs/")
    parser.add_argument(
        "--draw", type=Path, metavar="RESULTS", help="measure nothing; pictures and text of this results.json"
    )
    parser.add_argument("--gate", action="store_true", help="status 1 when something is worse than it may be")
    options = parser.parse_args()
    if options.publish and (reasons := _unfit(options)):
        parser.error(f"not to be published: {'; '.join(reasons)}")
    return options


def _unfit(options: argparse.Namespace) -> list[str]:
    parts = [each for each in GROUPS if each not in options.groups]
    left_out = [f"left out: {', '.join(parts)}"] if parts or options.only else []
    return [*unfit(load(), options.rounds), *left_out]


def _client(text: str) -> Path:
    """Looked at now: what is wrong with it is not told after minutes."""
    try:
        signer_of(Path(text))
    except (OSError, TypeError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return Path(text)


def _rounds(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 10000")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
