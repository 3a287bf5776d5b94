"""What grows with the number of keys: listing, finding, and a whole command."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.commands import COLD, WARM, run_command
from benchmarks.filling import application_id, label
from benchmarks.laboratory import Laboratory, watch
from hem_provider.cli.built import module_path
from hem_provider.measuring.figures import Figure, figures_of
from hem_provider.measuring.measure import Case, interleave

__all__ = ["SCALE", "SIZES", "measure_scale"]

SCALE = "scale"
#: Keys on the device.
SIZES = (10, 100, 1_000, 10_000)


def measure_scale(folder: Path, rounds: int, largest: int = SIZES[-1]) -> list[Figure]:
    """Devices with up to ``largest`` keys side by side; the operation's name ends with the number."""
    sizes = [size for size in SIZES if size <= largest]
    with ExitStack() as stack:
        labs = {size: stack.enter_context(Laboratory(folder / f"keys-{size}", fill=size)) for size in sizes}
        cases = [case for size, lab in labs.items() for case in _cases(stack, lab, size)]

        def count() -> tuple[int, int]:
            totals = [lab.count() for lab in labs.values()]
            return sum(calls for calls, _ in totals), sum(logins for _, logins in totals)

        results = interleave(cases, rounds, count, warm_up=1, watch=watch(SCALE))
    return figures_of(SCALE, results)


def _cases(stack: ExitStack, lab: Laboratory, size: int) -> Iterator[Case]:
    keys = stack.enter_context(lab.connect()).keys
    middle, keyed = size // 2, f"{size} keys"
    yield Case(f"list all, {keyed}", "Hem, first time", lambda: len(keys), prepare=keys.refresh)
    yield Case(f"list all, {keyed}", "Hem, again", lambda: len(keys))
    yield Case(f"find by label, {keyed}", "Hem, listed", lambda: keys.find(label=label(middle)))
    yield from _signing(lab, size, application_id(middle).hex())


def _signing(lab: Laboratory, size: int, identifier: str) -> Iterator[Case]:
    data, out = lab.folder / "data", lab.folder / "signature"
    data.write_bytes(b"a message to sign")
    command: list[str | Path] = ["pkcs11-tool", "--module", module_path(), "--login", "--pin", lab.passphrase]
    command += ["--sign", "-m", "ECDSA-SHA256", "--id", identifier, "-i", data, "-o", out]
    cold, warm = lab.folder / "cold", lab.folder / "warm"
    operation = f"pkcs11-tool --sign --id, {size} keys"
    yield Case(
        operation,
        COLD,
        lambda: run_command(command, lab.environment(cold)),
        prepare=lambda: shutil.rmtree(cold, ignore_errors=True),
        every=3 if size == SIZES[-1] else 1,
    )
    yield Case(operation, WARM, lambda: run_command(command, lab.environment(warm)))
