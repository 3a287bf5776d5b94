"""Runs fuzzers for a time that is shared out; tells of executions, coverage over time, crashes."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from campaign.fuzzing.build import HARNESSES, build_harness, fuzzing_compiler
from campaign.fuzzing.module import device_for
from campaign.fuzzing.python_fuzzer import ATHERIS
from campaign.fuzzing.targets import TARGETS

__all__ = [
    "BUILD",
    "CORPORA",
    "NAMES",
    "Ran",
    "command_of",
    "merge",
    "repeat_command",
    "run_all",
    "run_one",
    "seed_folder",
]

ROOT = Path(__file__).parents[3]
BUILD = ROOT / "build" / "fuzz"
CORPORA = Path(__file__).parents[1] / "corpora"
#: Share of the time: the C harnesses are fast, the whole module is what is tried most deeply.
_WEIGHTS = {"entry": 8, "places": 3, "uri": 3, "engine": 5, "module": 8}
_MOST = {"entry": 1024, "places": 2048, "uri": 700, "engine": 1024, "module": 600}
NAMES = (*HARNESSES, *TARGETS)
#: Seconds until an input hangs. A busy machine may keep the whole module waiting for its processor.
_PATIENCE = {"module": 60}
_INSTALL_ATHERIS = "pip install --no-deps --target {} 'atheris>=3,<4'"
_INSTALL_CLANG = "apt-get install clang libclang-rt-dev llvm"
#: Of a fuzzer that somebody ended, which has found nothing: libFuzzer's own, and where it had not begun yet.
_ENDED = 72, -signal.SIGINT, -signal.SIGTERM
_STATUS = re.compile(rb"^#(\d+)\s.*?cov: (\d+)")
_FOUND = re.compile(rb"Test unit written to (\S*(?:crash|timeout|oom|leak)-\S+)")
_SAID = re.compile(
    rb"WRONG: .*|ERROR: .*|.*runtime error: .*|[A-Za-z_.]*(?:Error|Exception|Warning): .*|=== Uncaught.*"
)


@dataclass(slots=True)
class Ran:
    """What one fuzzer did. ``crashes``: (input, what was said). ``coverage``: (seconds, edges reached)."""

    name: str
    executions: int = 0
    seconds: float = 0.0
    coverage: list[tuple[float, float]] = field(default_factory=list)
    crashes: list[tuple[Path, str]] = field(default_factory=list)
    skipped: str = ""
    corpus: Path | None = None


class _Running:
    """Fuzzers that run at once, and end at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._over = False

    def add(self, process: subprocess.Popen[bytes]) -> None:
        """One more, which is ended with the others, or by now."""
        with self._lock:
            self._processes.append(process)
            if self._over:
                process.terminate()

    def end(self) -> None:
        """All of them."""
        with self._lock:
            self._over = True
            for each in self._processes:
                each.terminate()


def run_all(
    seconds: float,
    folder: Path,
    names: Sequence[str] = NAMES,
    *,
    seed: int = 1,
    tell: Callable[[Ran], None] = lambda _: None,
) -> list[Ran]:
    """All of ``names`` for ``seconds`` altogether, as many at a time as there are processors. Crashing inputs
    are kept below ``folder``."""
    workers = os.cpu_count() or 1
    running = _Running()
    whole = sum(_WEIGHTS.get(name, 1) for name in names)
    compiler = fuzzing_compiler()

    def one(name: str) -> Ran:
        share = max(1.0, seconds * min(workers, len(names)) * _WEIGHTS.get(name, 1) / whole)
        ran = run_one(name, share, folder, compiler=compiler, seed=seed, running=running)
        tell(ran)
        return ran

    for name in names:  # one after another: the build of the module changes the environment
        if name in HARNESSES and compiler is not None:
            build_harness(name, BUILD, compiler=compiler, way="fuzz")
    with ThreadPoolExecutor(workers) as pool:
        longest_first = sorted(names, key=lambda name: -_WEIGHTS.get(name, 1))
        try:
            found = {ran.name: ran for ran in pool.map(one, longest_first)}
        except BaseException:  # who ends this ends the fuzzers, which would go on for their time
            pool.shutdown(wait=False, cancel_futures=True)
            running.end()
            raise
    return [found[name] for name in names]


def run_one(
    name: str,
    seconds: float,
    folder: Path,
    *,
    compiler: str | None,
    seed: int = 1,
    running: _Running | None = None,
) -> Ran:
    """One fuzzer for so many seconds, or until it finds something."""
    ran = Ran(name)
    if name in HARNESSES and compiler is None:
        ran.skipped = f"no clang with libFuzzer: {_INSTALL_CLANG}"
        return ran
    if name in TARGETS and not ATHERIS.is_dir():
        ran.skipped = f"no atheris: {_INSTALL_ATHERIS.format(ATHERIS)}"
        return ran
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    ran.corpus = place / "corpus"
    ran.corpus.mkdir(exist_ok=True)
    command, environment = command_of(name, place)
    most = _MOST.get(name) or TARGETS[name].most
    command += [
        f"-max_total_time={max(1, round(seconds))}",
        f"-max_len={most}",
        f"-seed={seed}",
        f"-timeout={_PATIENCE.get(name, 10)}",
        "-report_slow_units=60",
        "-rss_limit_mb=4096",
        "-print_final_stats=1",
        f"-artifact_prefix={place}/",
        str(ran.corpus),
        str(seed_folder(name, place)),
    ]
    if name not in ("entry", "places", "uri"):
        command.append("-detect_leaks=0")  # Python and OpenSSL keep what they have
    began = time.monotonic()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=place
    ) as process:
        assert process.stderr is not None
        if running is not None:
            running.add(process)
        said: list[bytes] = []
        for line in process.stderr:
            _note(ran, line, time.monotonic() - began)
            if _SAID.match(line) or b"Test unit" in line or b"stat::" in line:
                said = [*said[-60:], line]
    ran.seconds = time.monotonic() - began
    if process.returncode not in (0, *_ENDED):
        ran.crashes.append(_crash(said, place, process.returncode))
    shutil.rmtree(place / "device", ignore_errors=True)
    return ran


def _note(ran: Ran, line: bytes, when: float) -> None:
    status = _STATUS.match(line)
    if status is not None:
        ran.executions = max(ran.executions, int(status[1]))
        if not ran.coverage or float(status[2]) > ran.coverage[-1][1]:
            ran.coverage.append((round(when, 1), float(status[2])))
    elif line.startswith(b"stat::number_of_executed_units:"):
        ran.executions = int(line.split()[-1])


def _crash(said: Iterable[bytes], place: Path, status: int) -> tuple[Path, str]:
    text = b"".join(said)
    found = _FOUND.search(text)
    words = _SAID.search(text)
    what = words[0].decode("utf-8", "replace")[:300] if words else f"it ended with status {status}"
    return Path(found[1].decode()) if found else place, what


def command_of(name: str, place: Path) -> tuple[list[str], dict[str, str]]:
    """The program of a target, and its environment; ``place``: for what it needs on the disk."""
    if name in TARGETS:
        path = os.pathsep.join(str(ROOT / each) for each in ("tests", "shim", "."))
        command = [sys.executable, "-W", "ignore", "-m", "campaign.fuzzing.python_fuzzer", name]
        return command, os.environ | {"PYTHONPATH": path, "HOME": str(place)}
    environment = os.environ | {"ASAN_OPTIONS": "allocator_may_return_null=1"}
    if HARNESSES[name].module:
        environment = device_for(place / "device")
    return [str(BUILD / f"fuzz-{name}-fuzz")], dict(environment)


def repeat_command(name: str, path: Path) -> str:
    """What runs an input again."""
    return f"make fuzz REPEAT='{name} {path}'"


def seed_folder(name: str, place: Path) -> Path:
    """Where a target's first inputs are: its corpus, and what ``seeds`` says besides."""
    folder = place / "seeds"
    folder.mkdir(parents=True, exist_ok=True)
    from campaign.fuzzing.seeds import SEEDS

    texts = SEEDS[name]() if name in SEEDS else TARGETS[name].seeds()
    kept = CORPORA / name
    for text in [*texts, *(each.read_bytes() for each in (kept.iterdir() if kept.is_dir() else ()))]:
        (folder / hashlib.sha256(text).hexdigest()[:16]).write_bytes(text)
    return folder


def merge(name: str, inputs: Sequence[Path], *, files: int, most: int) -> list[bytes]:
    """Of the smallest inputs that reach all that ``inputs`` do: so many ``files``, of ``most`` bytes."""
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        (place / "merged").mkdir()
        command, environment = command_of(name, place)
        command += [
            "-merge=1",
            "-detect_leaks=0",
            "-rss_limit_mb=4096",
            str(place / "merged"),
            *map(str, inputs),
        ]
        subprocess.run(command, env=environment, check=True, capture_output=True, cwd=place, timeout=300)
        found = sorted(
            (each.read_bytes() for each in (place / "merged").iterdir()), key=lambda text: (len(text), text)
        )
    kept: list[bytes] = []
    for text in found[:: max(1, len(found) // files)][:files]:
        if sum(map(len, kept)) + len(text) > most:
            break
        kept.append(text)
    return kept
