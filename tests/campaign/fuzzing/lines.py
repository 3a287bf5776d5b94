"""Which lines the C harnesses reach: clang's counters over the corpora and what a run has found."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from campaign.fuzzing.build import HARNESSES, build_harness
from campaign.fuzzing.module import device_for

__all__ = ["ENTRY_LAYER", "Lines", "reached"]

ROOT = Path(__file__).parents[3]
#: What is linked into libhem_pkcs11.so (shim/build_module.py): the way of a call up to Python. functions.h is
#: expanded in entry.c.
ENTRY_LAYER = ("entry.c", "stack.c", "say.c", "interpreter.c", "places.c")

#: By the name of a source: lines with code, and those that were not reached.
Lines = Mapping[str, tuple[int, tuple[int, ...]]]


def _tool(compiler: str, name: str) -> str | None:
    version = compiler.partition("-")[2]
    return next((found for each in (f"{name}-{version}", name) if (found := shutil.which(each))), None)


def reached(corpora: Mapping[str, Sequence[Path]], folder: Path, *, compiler: str) -> Lines | str:
    """Runs every harness over its ``corpora``; why not, where LLVM's tools are missing."""
    profdata, cov = _tool(compiler, "llvm-profdata"), _tool(compiler, "llvm-cov")
    if profdata is None or cov is None:
        return "llvm-profdata and llvm-cov are missing: apt-get install llvm"
    programs, raw = [], []
    for name in HARNESSES:
        program = build_harness(name, folder, compiler=compiler, way="lines")
        environment = dict(os.environ)
        if HARNESSES[name].module:
            environment = device_for(folder / "lines-device")
            module = program.parent / "module-lines" / "hem_pkcs11"
            programs += [module / "libhem_pkcs11.so", module / "libhem_python.so"]
        else:
            programs.append(program)
        environment["LLVM_PROFILE_FILE"] = str(folder / f"{name}-%m.profraw")
        for old in folder.glob(f"{name}-*.profraw"):
            old.unlink()
        subprocess.run(
            [str(program), *map(str, corpora.get(name, ()))], env=environment, check=True, capture_output=True
        )
        raw += sorted(folder.glob(f"{name}-*.profraw"))
    merged = folder / "lines.profdata"
    subprocess.run([profdata, "merge", "-sparse", *map(str, raw), "-o", str(merged)], check=True)
    found: dict[str, tuple[set[int], set[int]]] = {}
    # Each by itself: what one has compiled otherwise than another is no other source.
    for program in programs:
        exported = subprocess.run(
            [cov, "export", str(program), f"-instr-profile={merged}"], check=True, capture_output=True
        )
        for source, counts in _lines(json.loads(exported.stdout)):
            there, seen = found.setdefault(source, (set(), set()))
            there.update(counts)
            seen.update(line for line, count in counts.items() if count > 0)
    return {name: (len(there), tuple(sorted(there - seen))) for name, (there, seen) in found.items()}


def _lines(document: Mapping[str, object]) -> Iterator[tuple[str, dict[int, int]]]:
    """The project's sources, with how often each line was executed."""
    for file in document["data"][0]["files"]:  # type: ignore[index]
        path = Path(file["filename"])
        if path.parent.name in ("src", "openssl"):
            yield path.name, _counts(file["segments"])


def _counts(segments: Sequence[Sequence[int]]) -> dict[int, int]:
    """llvm-cov's segments (line, column, count, has count, begins, …) as lines, by its own rule: a line has
    the greatest count of what begins on it, or of what goes on from the line before."""
    counts: dict[int, int] = {}
    by_line: dict[int, list[Sequence[int]]] = {}
    for segment in segments:
        by_line.setdefault(segment[0], []).append(segment)
    going: Sequence[int] | None = None
    for line in range(segments[0][0], segments[-1][0] + 1) if segments else ():
        here = by_line.get(line, [])
        begins = [each for each in here if each[3] and each[4]]
        mapped = bool(begins) or (going is not None and bool(going[3]))
        if mapped and not (not begins and here and not here[0][3] and going is None):
            values = [each[2] for each in begins]
            if going is not None and going[3]:
                values.append(going[2])
            counts[line] = max(values)
        if here:
            going = here[-1]
    return counts
