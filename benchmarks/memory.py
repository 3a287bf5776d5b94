"""Whether memory stays flat: ``python -m benchmarks.memory [--local N] [--remote N]``.

Local operations ask the device nothing, remote ones are signatures. Prints resident memory after
the first and the last tenth; the exit status is 1 when it grew by more than the allowance between.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from hem_pkcs11.constants import CKM, CKO

from benchmarks.cryptoki import Cryptoki
from benchmarks.gate import grown
from benchmarks.laboratory import GROWN, Fact, Laboratory, own_way
from hem_provider.cli.built import module_path
from hem_provider.cli.environment import surrounded
from hem_provider.cli.progress import progress

__all__ = ["growth", "main", "measure_memory"]

_TENTHS = 10


def resident() -> int:
    """This process's resident memory in KiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def growth(
    work: Callable[[], object], times: int, what: str, size: Callable[[], int] = resident
) -> Iterator[int]:
    """Run ``work`` ``times`` times; ``size``, by default this process's resident memory in KiB, after each
    tenth."""
    for tenth in range(_TENTHS):
        count = times * (tenth + 1) // _TENTHS - times * tenth // _TENTHS
        for _ in progress(range(count), count, f"{what}, part {tenth + 1} of {_TENTHS}"):
            work()
        yield size()


def measure_memory(folder: Path, local: int, remote: int) -> list[Fact]:
    """How much this process grows, through the module's C functions."""
    facts = []
    with Laboratory(folder) as lab, surrounded(lab.environment(folder / "cache")):
        with lab.connect() as hem:
            hem.keys.create("SECP256R1", label="web", usage={"sign"})
        module = Cryptoki(module_path())
        module.login(lab.passphrase)
        (key,) = module.find(CKO.PRIVATE_KEY, label="web")
        for what, work, times in (
            (f"{GROWN} {local:,} local operations (C_GenerateRandom)", lambda: module.random(32), local),
            (
                f"{GROWN} {remote:,} remote operations (C_Sign)",
                lambda: module.sign(key, CKM.ECDSA_SHA256, b"message"),
                remote,
            ),
        ):
            sizes = list(growth(work, times, what))
            facts.append(Fact(what, float(sizes[-1] - sizes[0]), "KiB"))
        module.close()
    return facts


def main() -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(prog="benchmarks.memory", description=__doc__)
    parser.add_argument("--local", type=int, default=1_000_000, metavar="N", help="local operations")
    parser.add_argument("--remote", type=int, default=10_000, metavar="N", help="signatures")
    options = parser.parse_args()
    with own_way(), tempfile.TemporaryDirectory(prefix="hem-bench-") as name:
        facts = measure_memory(Path(name), options.local, options.remote)
    for fact in facts:
        print(f"{fact.name}: {fact.value:,.0f} {fact.unit}")
    return int(bool(grown(facts)))


if __name__ == "__main__":
    sys.exit(main())
