"""``make bench``: median and 95th percentile of each operation at each layer, as a table."""

from __future__ import annotations

import argparse
import sys
import tempfile

from benchmarks.layers import FLOOR, Workbench
from benchmarks.measure import Result, interleave
from hem_provider.cli.steps import table
from hem_provider.emulator.served import ServedEmulator


def main() -> int:
    """Measure on an emulator of this process's own; prints the table."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=_rounds, default=100, help="times each case is run (default 100)")
    parser.add_argument("--latency", default="none", help="the emulator's latency: none, ppa or a file")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="hem-bench-") as folder,
        ServedEmulator(folder, arguments=("--latency", options.latency)) as emulator,
    ):
        workbench = Workbench(emulator)
        try:
            results = interleave(workbench.cases(), options.rounds, workbench.count)
        finally:
            workbench.close()
    print(f"latency {options.latency}, {options.rounds} rounds, interleaved; times in ms\n")
    print(report(results))
    return 0


def report(results: list[Result]) -> str:
    """The table; the ratio is to the floor of the same operation in the same run."""
    floors = {each.case.operation: each.median for each in results if each.case.layer == FLOOR}
    rows = [
        (
            each.case.operation,
            each.case.layer,
            f"{each.median * 1000:.2f}",
            f"{each.p95 * 1000:.2f}",
            f"{each.median / floors[each.case.operation]:.2f}",
            str(each.calls),
            str(each.logins),
        )
        for each in results
    ]
    head = ("operation", "layer", "median", "p95", "× floor", "calls", "logins")
    return table(head, rows, right=(2, 3, 4, 5, 6))


def _rounds(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 10000")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
