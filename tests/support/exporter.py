"""A running ``hem exporter`` for tests, in a process of its own, and what it tells."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from support.emulator import ServedEmulator

from hem_provider.emulator import EmulatedDevice, control, faults, tls

__all__ = ["RunningExporter", "configured", "order", "running", "shorten_certificate", "values_of"]

_LINE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

#: Name and labels of a value → it.
Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


def values_of(text: str) -> Values:
    """What a page says."""
    found = (_LINE.fullmatch(line) for line in text.splitlines() if not line.startswith("#"))
    return {(each[1], frozenset(_LABEL.findall(each[2] or ""))): float(each[3]) for each in found if each}


def configured(served: ServedEmulator, *, secret: bool = True, **settings: str) -> dict[str, str]:
    """The environment of a program that is to reach a device, with or without its passphrase."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HEM_")}
    found = {
        "HEM_URL": served.https,
        "HEM_CA_FILE": str(served.ca_file),
        "HEM_CLOUD_URL": served.cloud,
        "HEM_CLOUD_CA_FILE": str(served.ca_file),
        "HEM_PASSPHRASE_FILE": str(served.passphrase_file) if secret else "",
    }
    return clean | {name: value for name, value in found.items() if value} | settings


def order(served: ServedEmulator, action: str, **parameters: Any) -> None:
    """Turn a knob of a served emulator."""
    with EmulatedDevice(served.state) as device:
        control.run(device, action, parameters)


def shorten_certificate(served: ServedEmulator, days: int, patch: Any) -> None:
    """Have a served emulator show a certificate that ends in so many days."""
    patch.setattr(tls, "_LEAF_DAYS", days)
    with EmulatedDevice(served.state) as device, device.model.transaction():
        state = device.model.state
        faults._serve(device.model, tls.issue(state.knobs.ca, ["127.0.0.1", "localhost"]))


class RunningExporter:
    """``url``: of its page."""

    def __init__(self, process: subprocess.Popen[str], url: str, said: Path) -> None:
        self.process = process
        self.url = url
        self.said = said

    @property
    def port(self) -> int:
        return int(urlsplit(self.url).port or 0)

    def page(self, **headers: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/metrics", headers={n.replace("_", "-"): v for n, v in headers.items()})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        return answer.read().decode()

    def values(self) -> Values:
        return values_of(self.page())

    def value(self, name: str, /, **labels: str) -> float | None:
        """Of the one series of this name that has these labels; ``None`` where there is none."""
        found = [
            each
            for (there, has), each in self.values().items()
            if there == name and frozenset(labels.items()) <= has
        ]
        assert len(found) <= 1, found
        return found[0] if found else None

    @property
    def ticks(self) -> int:
        """Processor time that it has used, in hundredths of a second."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    @property
    def switches(self) -> int:
        """How often its threads have given way of themselves: each wait that ended."""
        lines = [
            line
            for each in Path(f"/proc/{self.process.pid}/task").iterdir()
            for line in (each / "status").read_text().splitlines()
        ]
        return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))

    def wait_until(self, happened: Any, seconds: float = 30) -> None:
        ends = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < ends, f"it did not happen; the exporter says: {self.said.read_text()}"
            time.sleep(0.05)


@contextmanager
def running(environment: Mapping[str, str], folder: Path, *options: str) -> Iterator[RunningExporter]:
    """``hem exporter`` on a free port of 127.0.0.1, stopped by SIGTERM."""
    said = folder / "exporter.err"
    with said.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "hem_provider.cli.main", "exporter", "--listen", "127.0.0.1:0", *options],
            env=dict(environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
    try:
        line = process.stdout.readline() if process.stdout else ""
        assert line.startswith("http://127.0.0.1:"), said.read_text()
        yield RunningExporter(process, line.strip(), said)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, said.read_text()
        assert said.read_text() == ""
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
