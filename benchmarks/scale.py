"""What grows with the number of keys: listing, finding, a start and its memory, and a whole command."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from benchmarks.commands import COLD, WARM, run_command
from benchmarks.filling import application_id, label
from benchmarks.laboratory import Fact, Laboratory, watch
from hem_provider.cli.built import module_path
from hem_provider.device.naming import key_meant
from hem_provider.measuring.figures import Figure, figures_of
from hem_provider.measuring.measure import Case, interleave

__all__ = [
    "ANOTHER",
    "FINDING",
    "HALFWAY",
    "LISTING",
    "SCALE",
    "SIGNING",
    "SIZES",
    "START",
    "TAKES",
    "measure_scale",
]

SCALE = "scale"
#: Keys on the device. With the last no device is known: the emulated one is filled beyond its own room.
SIZES = (10, 100, 1_000, 10_000, 100_000)
#: How the operations begin; they end with the number of keys.
LISTING, FINDING, SIGNING, START = "list all", "find by", "pkcs11-tool --sign --id", "start, find by"
#: Who goes on with a listing that was interrupted.
HALFWAY, ANOTHER = "interrupted halfway", "interrupted halfway in another program"
#: How the name of the fact begins that tells a start's memory.
TAKES = "memory of a program that found one of"
#: What asks for every page of this many keys is done once.
_MANY = 10_000
_ONCE = sys.maxsize

#: Finds by what an earlier process has listed; prints its own largest resident memory in KiB.
_START = """
import sys
import hem_provider
from hem_provider.device.naming import key_meant
how, name = sys.argv[1:]
with hem_provider.connect() as hem:
    if how == "label":
        hem.keys.find(label=name)
    elif how == "id":
        hem.keys.find(application_id=bytes.fromhex(name))
    else:
        key_meant(hem, name)
for line in open("/proc/self/status"):
    if line.startswith("VmHWM:"):
        print(line.split()[1])
"""


def measure_scale(folder: Path, rounds: int, largest: int, facts: list[Fact]) -> list[Figure]:
    """Devices with up to ``largest`` keys side by side; a start's memory on each goes to ``facts``."""
    sizes = [size for size in SIZES if size <= largest]
    with ExitStack() as stack:
        labs = {size: stack.enter_context(Laboratory(folder / f"keys-{size}", fill=size)) for size in sizes}
        cases = [case for size, lab in labs.items() for case in _cases(stack, lab, size)]

        def count() -> tuple[int, int]:
            totals = [lab.count() for lab in labs.values()]
            return sum(calls for calls, _ in totals), sum(logins for _, logins in totals)

        results = interleave(cases, rounds, count, warm_up=1, watch=watch(SCALE))
        for size, lab in labs.items():
            facts.append(Fact(f"{TAKES} {size} keys", float(_start(lab, "label", label(size // 2))), "KiB"))
    return figures_of(SCALE, results)


def _cases(stack: ExitStack, lab: Laboratory, size: int) -> Iterator[Case]:
    hem = stack.enter_context(lab.connect())
    keys, middle, keyed = hem.keys, size // 2, f"{size} keys"
    every = _ONCE if size >= _MANY else 1

    def half() -> None:
        keys.refresh()
        list(islice(keys, middle))

    def half_elsewhere() -> None:
        with lab.connect() as other:
            other.keys.refresh()
            list(islice(other.keys, middle))

    def go_on() -> None:
        with lab.connect() as another:
            len(another.keys)

    if size <= _MANY:  # with more it takes a minute, and another program does the same
        yield Case(f"{LISTING}, {keyed}", HALFWAY, lambda: len(keys), prepare=half, every=every)
    yield Case(f"{LISTING}, {keyed}", ANOTHER, go_on, prepare=half_elsewhere, every=every)
    yield Case(f"{LISTING}, {keyed}", "first time", lambda: len(keys), prepare=keys.refresh, every=every)
    yield Case(f"{LISTING}, {keyed}", "again", lambda: len(keys))
    uri = f"pkcs11:object={label(middle).replace(' ', '%20')};type=private"
    identifier = application_id(middle)
    yield Case(f"{FINDING} id, {keyed}", "listed", lambda: keys.find(application_id=identifier))
    yield Case(f"{FINDING} label, {keyed}", "listed", lambda: keys.find(label=label(middle)))
    yield Case(f"{FINDING} URI, {keyed}", "listed", lambda: key_meant(hem, uri))
    yield from _signing(lab, size, identifier.hex())
    for how, name in (("label", label(middle)), ("id", identifier.hex()), ("URI", uri)):
        yield Case(f"{START} {how}, {keyed}", WARM, lambda how=how, name=name: _start(lab, how, name))  # type: ignore[misc]


def _start(lab: Laboratory, how: str, name: str) -> int:
    command = [sys.executable, "-c", _START, how, name]
    environment = lab.environment(lab.folder / "warm")
    environment["HEM_PASSPHRASE_FILE"] = str(lab.emulator.passphrase_file)
    return int(run_command(command, environment))


def _signing(lab: Laboratory, size: int, identifier: str) -> Iterator[Case]:
    data, out = lab.folder / "data", lab.folder / "signature"
    data.write_bytes(b"a message to sign")
    command: list[str | Path] = ["pkcs11-tool", "--module", module_path(), "--login", "--pin", lab.passphrase]
    command += ["--sign", "-m", "ECDSA-SHA256", "--id", identifier, "-i", data, "-o", out]
    cold, warm = lab.folder / "cold", lab.folder / "warm"
    yield Case(
        f"{SIGNING}, {size} keys",
        COLD,
        lambda: run_command(command, lab.environment(cold)),
        prepare=lambda: shutil.rmtree(cold, ignore_errors=True),
        every=_ONCE if size >= _MANY else 1,
    )
    yield Case(f"{SIGNING}, {size} keys", WARM, lambda: run_command(command, lab.environment(warm)))
