"""How the keyring's vault does with many entries: ``python -m benchmarks.keyring_scale``.

One emulated device called in this process, so that what is seen is the vault's own work and the
number of device calls; on hardware each call adds about 0.25 s. Beside it the encrypted file
backend of ``keyrings.alt``, which has no device and protects with a passphrase.
"""

from __future__ import annotations

import argparse
import collections
import configparser
import importlib
import statistics
import sys
import tempfile
import time
import warnings
from base64 import encodebytes
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.laboratory import own_way
from hem_provider.adapters.keyring.vault import bulk
from hem_provider.adapters.keyring.vault.format import Header
from hem_provider.adapters.keyring.vault.keys import DeviceKeys
from hem_provider.adapters.keyring.vault.sealing import Content
from hem_provider.adapters.keyring.vault.vault import Vault
from hem_provider.cli.progress import progress
from hem_provider.device.hem import Hem, connect
from hem_provider.emulator.setup import initialise
from hem_provider.measuring.table import table

_PASSPHRASE = "correct horse battery staple"  # noqa: S105 - of an emulator that lives for a minute
_SIZES = (10, 100, 1_000, 10_000)


def main() -> int:
    """Fill vaults of growing size, time single operations on each, print the tables."""
    parser = argparse.ArgumentParser(prog="benchmarks.keyring_scale", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="times each operation is timed (default 20)")
    parser.add_argument("--largest", type=int, default=10_000, help="entries of the largest vault")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message="PBKDF2 without")  # keyrings.alt's own
    sizes = [size for size in _SIZES if size < options.largest] + [options.largest]
    with own_way(), tempfile.TemporaryDirectory(prefix="hem-bench-") as folder:
        state = Path(folder) / "device.hem"
        initialise(state, passphrase=_PASSPHRASE, admin_passphrase="admin " + _PASSPHRASE)
        with connect(f"emulator:{state}", passphrase=_PASSPHRASE) as hem:
            rows = list(_operations(hem, Path(folder), sizes, options.rounds))
            print(f"one operation, median of {options.rounds}; times in ms\n")
            head = ("entries", "operation", "vault on a HEM", "device calls", "keyrings.alt, encrypted")
            print(table(head, rows, right=(0, 2, 3, 4)))
            print()
            print(_bulk(hem, Path(folder), sizes))
    return 0


def _vault(hem: Hem, path: Path, *, hidden: bool = False) -> Vault:
    key = hem.keys.create("AES256", label="keyring", usage={"wrap"})
    names = hem.keys.create("SHA2-256", label="keyring names").kid if hidden else None
    return Vault.create(path, Header("0" * 32, "bench", key.kid, names), lambda _: DeviceKeys(hem))


def _entries(count: int) -> Iterator[Content]:
    for number in range(count):
        yield Content(
            f"https://service-{number // 3}.example.org/", f"user-{number % 3}", f"password {number}"
        )


def _fill(vault: Vault, count: int) -> None:
    for _ in progress(bulk.put_all(vault, _entries(count)), count, f"filling {count}"):
        pass


def _operations(hem: Hem, folder: Path, sizes: list[int], rounds: int) -> Iterator[tuple[str, ...]]:
    for size in sizes:
        vault = _vault(hem, folder / f"vault-{size}")
        _fill(vault, size)
        other = _other_backend(folder / f"other-{size}.cfg", size)
        middle = list(_entries(size))[size // 2]
        cases = _cases(vault, other, middle.service, middle.user)
        for what, ours, theirs in cases:
            calls = hem.statistics.calls
            mine = _median(ours, rounds)
            calls = (hem.statistics.calls - calls) // (rounds + 1)
            beside = "" if what == "get by service" else f"{_median(theirs, rounds):.1f}"
            yield f"{size}", what, f"{mine:.1f}", str(calls), beside


def _cases(
    vault: Vault, other: Any, service: str, user: str
) -> list[tuple[str, Callable[[], object], Callable[[], object]]]:
    return [
        ("get", lambda: vault.get(service, user), lambda: other.get_password(service, user)),
        ("get, not there", lambda: vault.get("no", "one"), lambda: other.get_password("no", "one")),
        ("get by service", lambda: vault.first(service), lambda: None),
        ("set", lambda: vault.set(service, user, "new"), lambda: other.set_password(service, user, "new")),
    ]


def _median(operation: Callable[[], object], rounds: int) -> float:
    operation()
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        operation()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) * 1000


def _bulk(hem: Hem, folder: Path, sizes: list[int]) -> str:
    size = sizes[-2] if len(sizes) > 1 else sizes[-1]
    rows = []
    for kind, hidden in (("readable names", False), ("hidden names", True)):
        vault = _vault(hem, folder / f"bulk-{kind}", hidden=hidden)
        new = hem.keys.create("AES256", label="new", usage={"wrap"})
        for what, run in (
            ("import", bulk.put_all(vault, _entries(size))),
            ("list", vault.names()),
            ("check", bulk.check(vault)),
            ("rewrap", bulk.rewrap(vault, new.kid)),
        ):
            calls, start = hem.statistics.calls, time.perf_counter()
            collections.deque(run, maxlen=0)
            seconds = time.perf_counter() - start
            calls = hem.statistics.calls - calls
            rows.append((kind, what, f"{seconds:.2f} s", f"{calls / size:.2f}", f"{calls * 0.25:.0f} s"))
        rows.append((kind, "file size", f"{vault.path.stat().st_size / size:.0f} bytes an entry", "", ""))
    head = (f"{size} entries", "action", "time here", "calls an entry", "on hardware, about")
    return table(head, rows, right=(2, 3, 4))


def _other_backend(path: Path, count: int) -> Any:
    """``keyrings.alt``'s encrypted file with as many entries, written in one go."""
    escape: Any = importlib.import_module("keyrings.alt.escape").escape  # without types of its own
    backend: Any = importlib.import_module("keyrings.alt.file").EncryptedKeyring()
    backend.file_path = str(path)
    backend.keyring_key = _PASSPHRASE
    config = configparser.RawConfigParser()
    sealed = "\n" + encodebytes(backend.encrypt(b"password")).decode()
    for entry in _entries(count):
        if not config.has_section(escape(entry.service)):
            config.add_section(escape(entry.service))
        config.set(escape(entry.service), escape(entry.user), sealed)
    with path.open("w", encoding="utf-8") as file:
        config.write(file)
    return backend


if __name__ == "__main__":
    sys.exit(main())
