"""The part ``fuzz``: every target of ``make fuzz``, and which lines its C harnesses reach."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from campaign.fuzzing.build import HARNESSES, fuzzing_compiler
from campaign.fuzzing.lines import ENTRY_LAYER, Lines, reached
from campaign.fuzzing.running import BUILD, Ran, repeat_command, run_all, seed_folder
from campaign.outcome import Effort, Figure, Outcome, Series, Table

__all__ = ["EXECUTIONS", "LINES", "SECONDS", "run", "told"]

#: Of a whole campaign: seconds for all targets together, executions altogether, per cent of lines.
SECONDS, EXECUTIONS, LINES = 1_800, 10_000_000, 95.0
#: Why no fuzzer reaches some lines → the tests that do.
ELSEWHERE = {
    "interpreter.c": "tests/pkcs11/test_python_hosts.py, test_surroundings.py (dlmopen, Python of another "
    "version, a copy without its other half)",
    "places.c": "tests/pkcs11/test_places.py (installations of every kind, on a disk)",
    "python.c": "tests/pkcs11/test_python_hosts.py (forks, subinterpreters, the end of a host's Python)",
    "code.c": "tests/pkcs11/test_kept_code.py (damaged and missing byte code)",
    "entry.c": "tests/pkcs11/test_hosts.py",
    "stack.c": "tests/pkcs11/test_small_stacks.py",
    "say.c": "tests/pkcs11/test_surroundings.py",
}


def run(effort: Effort) -> Outcome:
    """All targets for ``SECONDS`` at full effort."""
    ran = run_all(effort.times(SECONDS, least=30), effort.folder, seed=effort.seed)
    return told(ran, _lines(ran), effort)


def _lines(ran: Sequence[Ran]) -> Lines | str:
    compiler = fuzzing_compiler()
    if compiler is None:
        return "no clang with libFuzzer"
    corpora: dict[str, list[Path]] = {}
    for each in ran:
        if each.name in HARNESSES and each.corpus is not None:
            corpora[each.name] = [seed_folder(each.name, each.corpus.parent), each.corpus]
    return reached(corpora, BUILD / "lines", compiler=compiler)


def told(ran: Sequence[Ran], lines: Lines | str, effort: Effort) -> Outcome:
    """The outcome of what the targets did and reached."""
    total, wanted = sum(each.executions for each in ran), effort.times(EXECUTIONS)
    found = sum(len(each.crashes) for each in ran)
    outcome = Outcome(
        "fuzz",
        "Fuzzing",
        "What others can send is varied by fuzzers that see which code it reaches: calls of the PKCS#11 "
        "module (its C layer alone, and the whole module with an emulated device), names, key files and "
        "tokens of the OpenSSL engine, all under AddressSanitizer and UndefinedBehaviorSanitizer, and what "
        "Python code reads. A parser may answer or refuse by an error of ours, within a second and 200 MiB; "
        "anything else counts.",
        figures=[
            Figure("executions", total, "", f"at least {wanted:,}".replace(",", " "), total >= wanted),
            Figure("inputs that crash, hang or bring another error", found, "", "0", found == 0),
        ],
        tables=[_targets(ran)],
        series=[_over_time(ran)],
        failures=[
            f"{each.name}: {what} ({repeat_command(each.name, path)})"
            for each in ran
            for path, what in each.crashes
        ]
        + [f"{each.name}: not run: {each.skipped}" for each in ran if each.skipped]
        + [f"{each.name}: made no execution" for each in ran if not each.skipped and each.executions == 0],
    )
    if isinstance(lines, str):
        outcome.failures.append(f"coverage of lines: not measured: {lines}")
    else:
        share = _share([lines[name] for name in ENTRY_LAYER if name in lines])
        outcome.figures.append(
            Figure(
                "lines of the entry layer reached",
                round(share, 1),
                "%",
                f"at least {LINES:g} %",
                share >= LINES,
            )
        )
        outcome.tables.append(_of_lines(lines))
    return outcome


def _share(rows: Sequence[tuple[int, tuple[int, ...]]]) -> float:
    whole = sum(count for count, _ in rows)
    return 100 * (whole - sum(len(missed) for _, missed in rows)) / whole if whole else 0.0


def _targets(ran: Sequence[Ran]) -> Table:
    rows = [
        (
            each.name,
            f"{each.executions:,}".replace(",", " "),
            f"{each.executions / max(each.seconds, 0.1):.0f}",
            f"{each.coverage[-1][1]:.0f}" if each.coverage else "",
            str(len(each.crashes)),
        )
        for each in ran
    ]
    return Table("Targets", ("target", "executions", "a second", "edges", "found"), rows)


def _of_lines(lines: Lines) -> Table:
    rows = []
    for name, (count, missed) in sorted(lines.items(), key=lambda row: (row[0] not in ENTRY_LAYER, row[0])):
        share = f"{_share([(count, missed)]):.1f} %"
        rows.append((name, str(count), share, _ranges(missed), ELSEWHERE.get(name, "") if missed else ""))
    return Table("Lines of the C sources", ("source", "lines", "reached", "not reached", "tried by"), rows)


def _ranges(numbers: Sequence[int]) -> str:
    parts: list[list[int]] = []
    for each in numbers:
        if parts and each == parts[-1][1] + 1:
            parts[-1][1] = each
        else:
            parts.append([each, each])
    shown = [f"{first}" if first == last else f"{first}-{last}" for first, last in parts]
    return ", ".join(shown[:12]) + (f" and {len(shown) - 12} more" if len(shown) > 12 else "")


def _over_time(ran: Sequence[Ran]) -> Series:
    """Edges reached by each C harness, and by all Python targets together."""
    lines: dict[str, list[tuple[float, float]]] = {
        each.name: _thinned([*each.coverage, (round(each.seconds, 1), each.coverage[-1][1])])
        for each in ran
        if each.name in HARNESSES and each.coverage
    }
    python = [each for each in ran if each.name not in HARNESSES and each.coverage]
    if python:
        moments = sorted({moment for each in python for moment, _ in each.coverage})
        lines["Python targets"] = _thinned(
            [(moment, sum(_at(each, moment) for each in python)) for moment in moments]
        )
    return Series("fuzz-coverage", "Edges reached over time", "seconds of each target", "edges", lines)


def _at(ran: Ran, moment: float) -> float:
    return max((value for when, value in ran.coverage if when <= moment), default=0.0)


def _thinned(points: Sequence[tuple[float, float]], most: int = 60) -> list[tuple[float, float]]:
    step = max(1, len(points) // most)
    return [*points[:-1:step], points[-1]]
