"""Two served devices, and a reader of the pages who has both configured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.emulator import ServedEmulator
from support.pages import reader_of
from support.tokenqueue import configure

__all__ = ["two_devices"]

Two = tuple[ServedEmulator, ServedEmulator, dict[str, str]]


@contextmanager
def two_devices(folder: Path, *, login: float = 0.0) -> Iterator[Two]:
    """``east`` and ``west``, which take 0.2 s to sign and so many seconds more than usual for a ``login``,
    and the environment. ``folder`` has a configuration with both, and one with each."""
    latency = folder / "latency.json"
    latency.write_text(json.dumps({"crypto": 0.2, "login": login}))
    slow = ("--latency", str(latency))
    places = [folder / name for name in ("east", "west")]
    for each in places:
        each.mkdir()
    with ServedEmulator(places[0], arguments=slow) as east, ServedEmulator(places[1], arguments=slow) as west:
        devices = {"east": east, "west": west}
        for name, each in devices.items():
            configure(folder / f"{name}.toml", {name: each})
        reader = reader_of(east, folder)
        for name in ("HEM_URL", "HEM_CA_FILE", "HEM_PASSPHRASE_FILE"):
            del reader[name]
        yield east, west, reader | {"HEM_CONFIG": str(configure(folder / "config.toml", devices))}
