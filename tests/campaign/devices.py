"""Many devices: as many signatures as there are devices, and none that waits for another one's device.

The devices are emulators in processes of their own, over TLS, with the latencies that were measured on
hardware: a call takes 0.25 s, so that cores are not what limits them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from support.tokenqueue import configure, lacking, make_keys, makers_of, token_queue

import hem_provider
from campaign.outcome import Effort, Figure, Outcome, Series, Table
from hem_provider.emulator.process import ServedEmulator

__all__ = ["run"]

_ROOT = Path(__file__).parents[2]
_COUNTS = (1, 2, 4, 8, 16)
_MOST_PROCESSES = 4
#: How much of N times one device N devices make, and how much longer the others' calls take at most.
_LEAST, _MOST = 0.9, 1.10

Call = tuple[int, float, float, bool]


@dataclass(frozen=True, slots=True)
class Setting:
    """What is tried: how many devices, for how long (s), how slow they are (``--latency``)."""

    counts: Sequence[int]
    seconds: float
    latency: str = "ppa"
    outage_devices: int = 8
    timeout: float = 10.0  #: of a device that hangs, and of a call of a set of keys
    patience: float = 2.0
    outages: Sequence[str] = ("hangs", "is dead")
    ways: Sequence[str] = ("one process", "several processes", "one set of keys")
    outage_ways: Sequence[str] = ("threads", "set")
    slots: bool = True  #: whether a PKCS#11 host takes part
    queue: bool = True  #: whether two workers with two devices each take jobs
    one_at_a_time: bool = False  #: a broken client, to see it found


def run(effort: Effort) -> Outcome:
    """The part, at an effort of 1: 16 devices, 20 s for each number of devices and way."""
    counts = [each for each in _COUNTS if each <= max(2, round(16 * min(1.0, 4 * effort.share)))]
    return try_devices(effort, Setting(counts, effort.times(20, least=6), outage_devices=min(8, counts[-1])))


def try_devices(effort: Effort, setting: Setting) -> Outcome:
    """As ``run``, with what is tried."""
    outcome = Outcome(
        "devices", "Many devices",
        "Emulated devices with the latency of hardware (0.25 s a signature), over TLS, each used by a thread "
        "of its own; by several processes; and by one `KeySet`. Then one of them is stopped, so that it "
        "takes connections and answers none, and later killed.",
    )  # fmt: skip
    with _devices(effort.folder, max(*setting.counts, setting.outage_devices), setting.latency) as devices:
        _throughput(outcome, devices, setting)
        for name in setting.outages:
            _outage(outcome, devices[: setting.outage_devices], setting, name, *_OUTAGES[name])
        if setting.queue:
            _queue(outcome, effort.folder, devices[:4], setting)
        if setting.slots:
            _slots(outcome, effort.folder, devices, setting)
    return outcome


# --- the devices ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Emulated:
    """A device and its key."""

    served: ServedEmulator
    kid: str

    def told(self, number: int) -> dict[str, Any]:
        """For a worker."""
        return {
            "url": self.served.https, "name": f"d{number}", "passphrase": self.served.passphrase,
            "ca_file": str(self.served.ca_file), "kid": self.kid,
        }  # fmt: skip


@contextmanager
def _devices(folder: Path, count: int, latency: str) -> Iterator[list[Emulated]]:
    with ExitStack() as stack:
        served = []
        for number in range(count):
            place = folder / f"device-{number}"
            place.mkdir(parents=True)
            served.append(stack.enter_context(ServedEmulator(place, arguments=("--latency", latency))))
        with ThreadPoolExecutor(count) as pool:
            yield [Emulated(*each) for each in zip(served, pool.map(_make_key, served), strict=True)]


def _make_key(served: ServedEmulator) -> str:
    with hem_provider.connect(
        served.https, passphrase=served.passphrase, ca_file=served.ca_file, agent="never"
    ) as hem:
        return hem.keys.create("ED25519", label="campaign").kid


def _killed(device: Emulated) -> None:
    device.served.kill()


def _started(device: Emulated) -> None:
    port = device.served.https.rpartition(":")[2]
    device.served._arguments = (*device.served._arguments, "--https-port", port)  # where it was
    device.served.start()


def _signalled(number: int) -> Callable[[Emulated], None]:
    def send(device: Emulated) -> None:
        assert device.served.process is not None
        os.kill(device.served.process.pid, number)

    return send


_OUTAGES: Mapping[str, tuple[Callable[[Emulated], None], Callable[[Emulated], None]]] = {
    "hangs": (_signalled(signal.SIGSTOP), _signalled(signal.SIGCONT)),
    "is dead": (_killed, _started),
}


# --- the processes that use them --------------------------------------------------------------


@contextmanager
def _worker(devices: Sequence[Emulated], setting: Setting, way: str, threads: int) -> Iterator[Any]:
    orders = {
        "devices": [each.told(number) for number, each in enumerate(devices)], "way": way, "threads": threads,
        "timeout": setting.timeout, "patience": setting.patience, "one_at_a_time": setting.one_at_a_time,
    }  # fmt: skip
    process = _started_process("campaign.devices_worker")
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(orders) + "\n")
        process.stdin.flush()
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def _started_process(module: str, *arguments: str, **more: str) -> subprocess.Popen[str]:
    path = os.pathsep.join(map(str, (_ROOT, _ROOT / "shim", _ROOT / "tests")))
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": path, "HEM_AGENT": "never", **more},
    )  # fmt: skip


def _tell(process: Any, word: str) -> None:
    process.stdin.write(word + "\n")
    process.stdin.flush()


def _at_work(
    groups: Sequence[Sequence[Emulated]],
    setting: Setting,
    way: str,
    during: Callable[[], None],
    threads: int = 0,
) -> list[list[Call]]:
    """The calls of each of several processes, which work as long as ``during`` lasts."""
    with ExitStack() as stack:
        workers = [stack.enter_context(_worker(each, setting, way, threads)) for each in groups]
        for each in workers:
            if each.stdout.readline() != "ready\n":
                raise RuntimeError("a worker did not start; its words are above")
        for each in workers:
            _tell(each, "go")
        during()
        for each in workers:
            _tell(each, "stop")
        return [[tuple(call) for call in json.loads(each.stdout.readline())] for each in workers]


# --- what is measured -------------------------------------------------------------------------


def _throughput(outcome: Outcome, devices: Sequence[Emulated], setting: Setting) -> None:
    rows: list[Sequence[str]] = []
    lines: dict[str, list[tuple[float, float]]] = {each: [] for each in setting.ways}
    single = 0.0
    for count in setting.counts:
        used = devices[:count]
        spread = [used[place::_MOST_PROCESSES] for place in range(min(_MOST_PROCESSES, count))]
        for name, groups, way, threads in (
            ("one process", [used], "threads", 0),
            ("several processes", spread, "threads", 0),
            ("one set of keys", [used], "set", 2 * count),
        ):
            if name not in setting.ways:
                continue
            if name == "several processes" and count == 1:
                lines[name].append((1, single))
                continue
            rate, took, failed = _rate(groups, setting, way, threads)
            single = single or rate
            lines[name].append((count, rate))
            ratio = rate / single
            rows.append((name, str(count), f"{rate:.2f}", f"{ratio:.2f}", *_percentiles(took)))
            if failed:
                outcome.failures.append(f"{count} devices, {name}: {failed} calls failed; none should")
            if count > 1:
                outcome.figures.append(
                    Figure(
                        f"{count} devices, {name}: signatures, by those of one device", round(ratio, 2), "",
                        f"at least {_LEAST * count:.1f}", kept=ratio >= _LEAST * count,
                    )
                )  # fmt: skip
    columns = ("used by", "devices", "signatures/s", "multiple", "p50 (s)", "p99 (s)")
    outcome.tables.append(Table("Throughput", columns, rows))
    ideal = [(count, count * single) for count in setting.counts]
    outcome.series.append(
        Series(
            "devices-throughput",
            "Signatures by devices",
            "devices",
            "signatures/s",
            {**lines, "N × one": ideal},
        )
    )


def _rate(
    groups: Sequence[Sequence[Emulated]], setting: Setting, way: str, threads: int
) -> tuple[float, list[float], int]:
    """Signatures per second of the middle of the time, their seconds, and how many failed. Each call counts
    by the share of it that lies within that time, so that few of them are enough."""
    times: list[float] = []

    def wait() -> None:
        time.sleep(0.5)
        times.append(time.monotonic())
        time.sleep(setting.seconds)
        times.append(time.monotonic())
        time.sleep(0.5)

    calls = [each for one in _at_work(groups, setting, way, wait, threads) for each in one]
    begins, ends = times
    made = sum(
        max(0.0, min(ends, began + took) - max(begins, began)) / took
        for _, began, took, well in calls
        if well
    )
    inside = [took for _, began, took, well in calls if well and begins <= began and began + took <= ends]
    return made / (ends - begins), inside, sum(not well for *_, well in calls)


def _outage(
    outcome: Outcome,
    devices: Sequence[Emulated],
    setting: Setting,
    name: str,
    begin: Callable[[Emulated], None],
    end: Callable[[Emulated], None],
) -> None:
    victim, others = 0, len(devices) - 1
    for way, threads in (("threads", 0), ("set", len(devices))):
        if way not in setting.outage_ways:
            continue
        calls, marks = _through(devices, setting, way, threads, begin, end)
        phases = [[each for each in calls if a <= sum(each[1:3]) < b] for a, b in pairwise(marks)]
        if way == "threads":
            took = [[each[2] for each in phase if each[0] not in (victim, -1)] for phase in phases]
            before, meanwhile = (_percentile(each, 0.99) for each in took[:2])
            ratio = meanwhile / before if before else float("inf")
            outcome.figures.append(
                Figure(
                    f"p99 of {others} devices while another {name}, by that before", round(ratio, 3), "",
                    f"at most {_MOST}", kept=ratio <= _MOST,
                )
            )  # fmt: skip
            back = any(each[0] == victim and each[3] for each in phases[2])
        else:
            failed = sum(not each[3] for each in calls)
            longest = max(each[2] for each in calls)
            outcome.figures += [
                Figure(f"failed calls of a set of {others + 1} keys, one of whose devices {name}", failed, "",
                       "0", kept=failed == 0),
                Figure(f"longest call of it, where a device {name}", round(longest, 2), "s",
                       f"at most its time-out, {setting.timeout:g} s", kept=longest <= setting.timeout),
            ]  # fmt: skip
            took = [[each[2] for each in phase if each[3]] for phase in phases]
            back = any(each[0] == victim for each in phases[2])
        rows = [
            (when, str(len(each)), *_percentiles(each))
            for when, each in zip(("before", "meanwhile", "after"), took, strict=True)
        ]
        what = "The others, each by a thread" if way == "threads" else "A set of keys"
        outcome.tables.append(
            Table(f"{what}: one of {others + 1} {name}", ("when", "signatures", "p50 (s)", "p99 (s)"), rows)
        )
        if not back:
            outcome.failures.append(f"{what}: the device that {name} did not sign again after it was back")


def _through(
    devices: Sequence[Emulated],
    setting: Setting,
    way: str,
    threads: int,
    begin: Callable[[Emulated], None],
    end: Callable[[Emulated], None],
) -> tuple[list[Call], list[float]]:
    """All calls of one process, while the first device goes and comes back; when that was."""
    marks: list[float] = []

    def during() -> None:
        marks.append(time.monotonic())
        time.sleep(setting.seconds)
        begin(devices[0])
        marks.append(time.monotonic())
        time.sleep(max(setting.seconds, setting.timeout + 2))
        marks.append(time.monotonic())
        end(devices[0])
        time.sleep(max(setting.seconds, setting.timeout) + 2 * setting.patience)  # it is left out until then
        marks.append(time.monotonic())

    [calls] = _at_work([devices], setting, way, during, threads)
    return calls, marks


def _queue(outcome: Outcome, folder: Path, devices: Sequence[Emulated], setting: Setting) -> None:
    """Two workers with two devices each behind Celery and Redis; then one of them is killed in the middle."""
    if lacking() is not None:
        why = [("2 workers × 2 devices", f"{lacking()} is missing")]
        outcome.tables.append(Table("A queue", ("not tried", "reason"), why))
        return
    served = {f"d{number}": each.served for number, each in enumerate(devices)}
    published = make_keys(served)
    place = folder / "queue"
    place.mkdir()
    jobs = max(16, round(len(devices) * setting.seconds * 4))
    with token_queue(place, again=10) as queue:
        workers = [
            queue.worker(f"w{number}", configure(place / f"w{number}.toml", dict(each)), 2 * len(each))
            for number, each in enumerate(_halves(served))
        ]
        rows = []
        for name in ("all well", "one worker killed"):
            with queue.asking(jobs, 300) as coming:
                came = [next(coming)]
                if name != "all well":
                    workers[0].kill()
                came += list(coming)
            begins, ends = came[0][1], max(when for _, when in came)
            makers = makers_of([token for token, _ in came], published)
            rate = (len(came) - 1) / (ends - begins)
            rows.append((name, str(jobs), str(len(set(came))), str(len(set(makers))), f"{rate:.2f}"))
            outcome.figures.append(
                Figure(f"jobs of {jobs} lost by the queue, {name}", jobs - len(came), "", "0",
                       kept=jobs == len(came))
            )  # fmt: skip
            if name == "all well":
                outcome.figures.append(
                    Figure(f"signatures of 2 workers with {len(devices) // 2} devices each", round(rate, 2),
                           "a second")
                )  # fmt: skip
    columns = ("when", "jobs", "tokens", "by devices", "tokens/s, waiting for the dead worker's jobs with it")
    outcome.tables.append(Table("A queue: Celery and Redis, two workers", columns, rows))


def _halves(served: Mapping[str, ServedEmulator]) -> list[list[tuple[str, ServedEmulator]]]:
    """The devices of each of two workers."""
    items = list(served.items())
    half = (len(items) + 1) // 2
    return [items[:half], items[half:]]


def _slots(outcome: Outcome, folder: Path, devices: Sequence[Emulated], setting: Setting) -> None:
    """A PKCS#11 host looks at its slots, before, during and after outages."""
    config = folder / "many.toml"
    config.touch(mode=0o600)
    config.write_text(
        "".join(
            f'[[device]]\nname = "d{number}"\nurl = "{each.served.https}"\n'
            f'ca_file = "{each.served.ca_file}"\n'
            for number, each in enumerate(devices)
        )
    )
    module = Path(_module())
    host = _started_process("campaign.devices_module", str(module), HEM_CONFIG=str(config))
    marks = [(time.monotonic(), "start")]
    try:
        assert host.stdin is not None
        assert host.stdout is not None
        time.sleep(4)
        for name, (begin, end) in _OUTAGES.items():
            begin(devices[-1])
            marks.append((time.monotonic(), name))
            time.sleep(12 + setting.seconds / 3)
            end(devices[-1])
            marks.append((time.monotonic(), f"{name}, after"))
            time.sleep(8)
        out, _ = host.communicate(timeout=60)
    finally:
        host.kill()
        host.wait()
    looks = [json.loads(line) for line in out.splitlines()]
    numbers = {tuple(each["slots"]) for each in looks}
    outcome.figures.append(
        Figure(
            "slot numbers of the module that changed by outages",
            len(numbers) - 1,
            "",
            "0",
            kept=len(numbers) == 1,
        )
    )
    rows = []
    for (begins, name), ends in zip(marks, [*(each for each, _ in marks[1:]), float("inf")], strict=True):
        these = [each for each in looks if begins <= each["began"] < ends]
        there = sorted({len(each["there"]) for each in these})
        longest = max((each["took"] for each in these), default=float("nan"))
        rows.append((name, str(len(these)), ", ".join(map(str, there)), f"{longest:.2f}"))
    outcome.tables.append(
        Table(
            f"A PKCS#11 host with {len(devices)} slots",
            ("when", "looks", "tokens there", "longest look (s)"),
            rows,
        )
    )
    outcome.figures.append(
        Figure(f"start of a PKCS#11 host with {len(devices)} devices", round(looks[0]["took"], 2), "s",
               "at most 2 s: they are asked at once", kept=looks[0]["took"] <= 2)
    )  # fmt: skip
    hang = [
        each["took"] for each in looks if any(a <= each["began"] < b for a, b in _between(marks, "hangs"))
    ]
    brief = 0 < max(hang, default=0) <= 2 and sum(each > 0.9 for each in hang) <= 1
    outcome.figures.append(
        Figure("longest look at the slots while one device hangs", round(max(hang, default=99), 2), "s",
               "at most 2 s, once", kept=brief)
    )  # fmt: skip
    if len(looks[-1]["there"]) != len(devices):
        outcome.failures.append(
            f"after the outages {len(looks[-1]['there'])} of {len(devices)} tokens are there"
        )


def _between(marks: Sequence[tuple[float, str]], name: str) -> list[tuple[float, float]]:
    return [(a, b) for (a, what), (b, _) in pairwise(marks) if what == name]


def _module() -> str:
    done = subprocess.run(
        [sys.executable, "-m", "hem_provider.cli.main", "pkcs11", "path"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def _percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _percentiles(values: Sequence[float]) -> tuple[str, str]:
    return f"{_percentile(values, 0.5):.3f}", f"{_percentile(values, 0.99):.3f}"
