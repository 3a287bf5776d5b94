"""An emulated device behind TLS for measuring, and everything that points to it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import hem_provider
from benchmarks.filling import fill_device
from benchmarks.floor import Floor, Kind
from hem_provider.cli.environment import surrounded
from hem_provider.cli.progress import progress
from hem_provider.device.hem import Hem
from hem_provider.emulator.process import ServedEmulator
from hem_provider.measuring.figures import Figure

__all__ = [
    "GROWN",
    "HARDWARE",
    "Counter",
    "Fact",
    "Laboratory",
    "on_hardware",
    "own_way",
    "watch",
]

#: How the names of facts about growth begin.
GROWN = "memory grown, after the first tenth, in"
#: Seconds that the emulated device takes where it answers as hardware: 0.24 for a call, as was measured over
#: hours, and 2.1 for the two calls of a login, of which 1.65 to 2.5 were seen. The rest takes nothing.
HARDWARE: Mapping[str, float] = {"call": 0.24, "crypto": 0.24, "login": 1.86}


def on_hardware(figure: Figure) -> float:
    """The median in seconds as hardware would have it, of a figure of a device that answers at once."""
    call, login = HARDWARE["call"], HARDWARE["login"]
    return figure.median + (figure.calls - figure.logins) * call + figure.logins * login


@dataclass(frozen=True, slots=True)
class Fact:
    """A single measured number that is no latency."""

    name: str
    value: float
    unit: str


def watch(what: str) -> Callable[[Iterable[int], int], Iterable[int]]:
    """A progress line for a run of rounds."""
    return lambda rounds, total: progress(rounds, total, what)


@contextmanager
def own_way() -> Iterator[None]:
    """This process far from the agent, from the lines before a device, and from what is remembered, which are
    those of whoever started it."""
    with tempfile.TemporaryDirectory(prefix="hem-run-") as run:
        own = {"HEM_AGENT": "never", "XDG_RUNTIME_DIR": run, "XDG_CACHE_HOME": f"{run}/cache"}
        with surrounded(own):
            yield


class Counter:
    """Device calls and logins from the device's own access log, read on from where it was read last."""

    def __init__(self, access_log: Path) -> None:
        self._path = access_log
        self._place = self._calls = self._logins = 0

    def __call__(self) -> tuple[int, int]:
        with self._path.open("rb") as file:
            file.seek(self._place)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._place += len(line)
                call = json.loads(line)
                self._calls += 1
                self._logins += (call["method"], call["path"]) == ("POST", "/api/auth/token")
        return self._calls, self._logins


class Laboratory:
    """One served emulator, which answers at once or as ``hardware``, as a context manager.

    ``folder`` takes its files, the configuration file and the caches of processes started for it; ``run``
    is their runtime folder, short as a socket's path has to be. ``fill``: that many keys are on the device
    from the start. ``name``: how those processes call the device.
    """

    name = "bench"

    def __init__(
        self, folder: Path, *, hardware: bool = False, keep_alive: bool = False, fill: int = 0
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        profile = folder / "hardware.json"
        profile.write_text(json.dumps(HARDWARE))
        arguments = (
            *(("--latency", str(profile)) if hardware else ()),
            *(("--keep-alive",) if keep_alive else ()),
        )
        self.folder = folder
        self._fill = fill
        self._keeps = keep_alive
        self.emulator = ServedEmulator(folder, arguments=arguments)
        self.count = Counter(self.emulator.access_log)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.run = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hem-run-")))
            if self._fill:
                self.emulator.initialise()
                fill_device(self.emulator.state, self._fill)
            stack.enter_context(self.emulator)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def passphrase(self) -> str:
        """The user's, which is the PIN."""
        return self.emulator.passphrase

    def connect(self) -> Hem:
        """A device object of its own."""
        emulator = self.emulator
        return hem_provider.connect(
            emulator.https, passphrase=emulator.passphrase, ca_file=emulator.ca_file, agent="never"
        )

    def floor(self, kind: Kind | None = None) -> Floor:
        """Requests without any layer, by default over connections as this device has them."""
        usual = Kind.KEPT if self._keeps else Kind.RESUMED
        return Floor(self.emulator.https, self.emulator.ca_file, usual if kind is None else kind)

    def environment(self, cache: Path | None = None) -> dict[str, str]:
        """For processes: this device by its own way, and ``cache`` (or none) as the place for what is
        remembered."""
        emulator = self.emulator
        own = {"HEM_URL": emulator.https, "HEM_CA_FILE": str(emulator.ca_file), "HEM_NAME": self.name}
        own |= {"HEM_AGENT": "never", "XDG_RUNTIME_DIR": str(self.run)}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HEM_")}
        place = self.folder / "no-such-place" / "cache" if cache is None else cache
        return {**kept, **own, "XDG_CACHE_HOME": str(place)}

    def device_table(self, name: str, slot: int) -> str:
        """This device in a configuration file."""
        emulator = self.emulator
        return (
            f'[[device]]\nname = "{name}"\nurl = "{emulator.https}"\nslot = {slot}\n'
            f'ca_file = "{emulator.ca_file}"\n'
        )
