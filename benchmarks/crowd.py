"""Many at once: sixteen threads of one process, sixteen processes, on a device that takes one at a time."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.laboratory import Laboratory
from hem_provider.cli.measuring.cases import MESSAGE
from hem_provider.cli.measuring.figures import Figure, figures_of
from hem_provider.cli.measuring.measure import Case, Result

__all__ = ["CROWD", "measure_crowd"]

CROWD = "many at once"
_OPERATION = "sign SECP256R1"

_SCRIPT = """
import json, sys, time
import hem_provider
kid, count = sys.argv[1], int(sys.argv[2])
seconds = []
with hem_provider.connect() as hem:
    hem.sign(kid, b"first", "SHA256WithECDSA")
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(count):
        start = time.perf_counter()
        hem.sign(kid, b"a message", "SHA256WithECDSA")
        seconds.append(time.perf_counter() - start)
print(json.dumps(seconds))
"""


def measure_crowd(folder: Path, each: int, crowd: int = 16) -> list[Figure]:
    """``each`` signatures by one alone, by ``crowd`` threads and by ``crowd`` processes. The times are
    what one caller waits for one signature, its turn included."""
    with Laboratory(folder) as lab, lab.connect() as hem:
        kid = hem.keys.create("SECP256R1", label="web", usage={"sign"}).kid

        def sign() -> None:
            hem.sign(kid, MESSAGE, "SHA256WithECDSA")

        results = [
            _result("one thread", _threads(sign, each * 4, 1)),
            _result(f"{crowd} threads", _threads(sign, each, crowd)),
            _result(f"{crowd} processes", _processes(lab, kid, each, crowd)),
        ]
    return figures_of(CROWD, results, "one thread")


def _result(layer: str, seconds: list[float]) -> Result:
    return Result(Case(_OPERATION, layer, lambda: None), seconds, calls=1)


def _threads(sign: Callable[[], None], each: int, crowd: int) -> list[float]:
    seconds: list[float] = []
    sign()

    def work() -> None:
        for _ in range(each):
            start = time.perf_counter()
            sign()
            seconds.append(time.perf_counter() - start)

    workers = [threading.Thread(target=work) for _ in range(crowd)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return seconds


def _processes(lab: Laboratory, kid: str, each: int, crowd: int) -> list[float]:
    environment = lab.environment(lab.folder / "cache")
    environment["HEM_PASSPHRASE_FILE"] = str(lab.emulator.passphrase_file)
    command = [sys.executable, "-c", _SCRIPT, kid, str(each)]
    running = [
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(crowd)
    ]
    for process in running:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise OSError("a process of the crowd did not start")
    for process in running:  # all stand ready: off they go
        if process.stdin is not None:
            process.stdin.write("\n")
            process.stdin.flush()
    return [seconds for process in running for seconds in json.loads(process.communicate(timeout=300)[0])]
