"""Several emulated devices in the test's process, each a rig of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from support.rig import ROUNDS, Rig

from hem_provider.emulator import setup
from hem_provider.rest import credential, wsgi

__all__ = ["several"]


@contextmanager
def several(monkeypatch: Any, folder: Path, count: int) -> Iterator[list[Rig]]:
    """``count`` initialised devices, which clients reach at their ``emulator:PATH``; their host time is the
    machine's."""
    monkeypatch.setattr(credential, "PBKDF2_ITERATIONS", ROUNDS)
    monkeypatch.setattr(setup, "ITERATIONS", ROUNDS)
    rigs = [Rig(folder / f"d{number}.hem", clock=time.time) for number in range(1, count + 1)]
    by_path = {str(each.path): each for each in rigs}

    class Opened:
        def __init__(self, path: str) -> None:
            rig = by_path[path]
            self.device = rig.application(rig.device.device, "")
            self.cloud = rig.application(rig.device.cloud, "CLOUD ")

        def close(self) -> None:
            pass

    point = EntryPoint("emulator", "rigs:Opened", wsgi.GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda _: Opened)
    monkeypatch.setattr(wsgi, "entry_points", lambda **_: [point])
    try:
        yield rigs
    finally:
        for each in rigs:
            each.close()
