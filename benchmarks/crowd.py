"""Many at once: threads of one process, and processes, on a device that takes one request at a time."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.laboratory import Laboratory
from hem_provider.measuring.cases import MESSAGE
from hem_provider.measuring.figures import Figure, figures_of, milliseconds
from hem_provider.measuring.measure import Case, Result
from hem_provider.measuring.table import table

__all__ = ["CROWD", "CROWDS", "crowd_of_processes", "measure_crowd", "processes", "waits"]

CROWD = "many at once"
CROWDS = (1, 4, 16)
_OPERATION = "sign SECP256R1"
#: Signatures of a whole crowd, at most, and seconds after which a process of it is given up.
_MOST, _SECONDS = 10_000, 300

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


def measure_crowd(folder: Path, each: int, crowds: Sequence[int] = CROWDS) -> list[Figure]:
    """``each`` signatures by every thread, then by every process, of crowds that grow. The times are what
    one caller waits for one signature, its turn included."""
    results = []
    with Laboratory(folder) as lab, lab.connect() as hem:
        kid = hem.keys.create("SECP256R1", label="web", usage={"sign"}).kid
        environment = lab.environment(folder / "cache")
        environment["HEM_PASSPHRASE_FILE"] = str(lab.emulator.passphrase_file)

        def sign() -> None:
            hem.sign(kid, MESSAGE, "SHA256WithECDSA")

        for crowd in crowds:
            count = min(each * 4 if crowd == 1 else each, _MOST // crowd)
            results.append(_result(_name(crowd, "thread"), _threads(sign, count, crowd)))
            results.append(_result(crowd_of_processes(crowd), processes(environment, kid, count, crowd)))
    return figures_of(CROWD, results, "1 thread")


def waits(figures: Sequence[Figure]) -> str:
    """How evenly the crowds were served: percentiles and the longest wait, in ms."""
    rows = [
        (
            each.layer,
            *(milliseconds(value) for value in (each.median, each.p99, max(each.samples))),
            f"{each.spread:.1f}",
        )
        for each in figures
    ]
    return table(("who", "p50", "p99", "longest", "p99 / p50"), rows, right=(1, 2, 3, 4))


def crowd_of_processes(crowd: int) -> str:
    """The layer's name."""
    return _name(crowd, "process")


def _name(crowd: int, kind: str) -> str:
    plural = {"thread": "threads", "process": "processes"}[kind]
    return f"{crowd} {kind if crowd == 1 else plural}"


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


def processes(environment: Mapping[str, str], kid: str, each: int, crowd: int) -> list[float]:
    """Seconds of each of the signatures that ``crowd`` processes make, ``each`` so many, all at once."""
    command = [sys.executable, "-c", _SCRIPT, kid, str(each)]
    running = [
        subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(crowd)
    ]
    try:
        for process in running:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise OSError("a process of the crowd did not start")
        for process in running:  # all stand ready: off they go
            if process.stdin is not None:
                process.stdin.write("\n")
                process.stdin.flush()
        answers = [process.communicate(timeout=_SECONDS)[0] for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
    return [seconds for answer in answers for seconds in json.loads(answer)]
