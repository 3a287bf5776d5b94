"""Requests a second at the emulated device: in the process, and over TLS with a connection each.

Run as `python -m benchmarks.emulator_load [--seconds S] [--json]`. The floors are promises: 300/s in the
process and 100/s over TLS on two cores; the exit status is 1 when a figure lies below its floor.
"""

from __future__ import annotations

import argparse
import http.client
import json
import ssl
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from hem_provider.emulator import EmulatedDevice, setup
from hem_provider.emulator.process import ServedEmulator
from hem_provider.emulator.wsgiclient import call

PASSPHRASE = "benchmark"  # noqa: S105
FLOORS = {"in process": 300.0, "TLS": 100.0}
THREADS = 4


class Bench:
    """A device with a signing key, and the requests to measure."""

    def __init__(self, state: Path) -> None:
        self.device = EmulatedDevice(state)
        setup.initialise(self.device, passphrase=PASSPHRASE, admin_passphrase="admin")  # noqa: S106
        eid = call(self.device.device, "GET", "/api/auth/token").json()["eid"]
        private = setup.derive_private(PASSPHRASE, eid)
        self.generate = setup.log_in(self.device, private, "keymgmt:gen")
        self.list = setup.log_in(self.device, private, "keymgmt:list")
        body = {"label": "bench", "type": "SECP256R1", "mode": "ExDSA"}
        kid = self._json("POST", "/api/keymgmt/create", body, self.generate)["kid"]
        self.use = setup.log_in(self.device, private, f"keymgmt:use:{kid}")
        signing = {"kid": kid, "msg": "aGVsbG8=", "alg": "SHA256WithECDSA"}
        creating = {"label": "bench", "type": "AES256"}
        self.requests: dict[str, tuple[str, str, dict[str, str] | None, str | None]] = {
            "status": ("GET", "/api/system/status", None, None),
            "list": ("GET", "/api/keymgmt/list", None, self.list),
            "sign P-256": ("POST", "/api/crypto/exdsa/sign", signing, self.use),
            "create AES-256": ("POST", "/api/keymgmt/create", creating, self.generate),
        }

    def _json(self, method: str, path: str, body: object, token: str) -> dict[str, str]:
        return call(self.device.device, method, path, body, token=token).json()

    def in_process(self, name: str) -> None:
        method, path, body, token = self.requests[name]
        answer = call(self.device.device, method, path, body, token=token)
        assert answer.status == 200, answer

    def over_tls(self, name: str, host: str, port: int, context: ssl.SSLContext) -> None:
        method, path, body, token = self.requests[name]
        connection = http.client.HTTPSConnection(host, port, context=context, timeout=10)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        assert answer.status == 200, answer.status


def measure(work: Callable[[], None], seconds: float, threads: int) -> tuple[float, float]:
    """Requests a second, and the median latency in milliseconds."""
    times: list[float] = []
    end = time.perf_counter() + seconds

    def loop() -> None:
        while (started := time.perf_counter()) < end:
            work()
            times.append(time.perf_counter() - started)

    workers = [threading.Thread(target=loop) for _ in range(threads)]
    started = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return len(times) / (time.perf_counter() - started), statistics.median(times) * 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="per figure")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    rows: list[tuple[str, str, float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        server = ServedEmulator(folder, init=False)
        bench = Bench(server.state)
        for name in bench.requests:
            rows.append(("in process", name, *measure(partial(bench.in_process, name), options.seconds, 1)))
        with server:
            address = urlsplit(server.https)
            context = ssl.create_default_context(cafile=server.ca_file)
            for name in bench.requests:
                work = partial(bench.over_tls, name, address.hostname or "", address.port or 443, context)
                rows.append(("TLS", name, *measure(work, options.seconds, THREADS)))
        bench.device.close()
    if options.json:
        keys = ("layer", "request", "per_second", "median_ms")
        print(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=2))
    else:
        print(f"{'layer':12} {'request':16} {'per second':>12} {'median ms':>10}")
        for layer, name, rate, median in rows:
            print(f"{layer:12} {name:16} {rate:12.0f} {median:10.2f}")
    return int(any(rate < FLOORS[layer] for layer, _, rate, _ in rows))


if __name__ == "__main__":
    sys.exit(main())
