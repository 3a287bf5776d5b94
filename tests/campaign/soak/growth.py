"""Memory and descriptors of processes over time, and whether they grow."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CONNECTIONS", "NOISE", "Growth", "Sample", "Watch", "growth"]

#: What a process may seem to grow by: KiB, or this part of its size, whichever is more.
NOISE, _PART = 2048.0, 0.04
#: Descriptors that one may seem to have more: connections come and go. A leak has hundreds.
CONNECTIONS = 3
#: Part of a process's life that is warming up.
WARM = 0.35


@dataclass(frozen=True, slots=True)
class Sample:
    """At ``when`` (Unix seconds): resident memory in KiB, open descriptors."""

    when: float
    resident: int
    descriptors: int


@dataclass(frozen=True, slots=True)
class Growth:
    """After warming up: ``memory`` in KiB over the time watched, by a straight line through the samples;
    ``bound`` what it may seem to be; ``descriptors``: more in the last third than in the first."""

    memory: float
    bound: float
    descriptors: float

    @property
    def flat(self) -> bool:
        return self.memory <= self.bound and self.descriptors <= CONNECTIONS


def growth(samples: Sequence[Sample]) -> Growth | None:
    """``None`` where there are too few samples to tell."""
    warm = samples[int(len(samples) * WARM) :]
    if len(warm) < 9:
        return None
    times = [each.when - warm[0].when for each in warm]
    sizes = [float(each.resident) for each in warm]
    slope = statistics.linear_regression(times, sizes).slope
    third = len(warm) // 3
    first, last = (
        statistics.median(each.descriptors for each in part) for part in (warm[:third], warm[-third:])
    )
    return Growth(slope * times[-1], max(NOISE, _PART * statistics.median(sizes)), last - first)


def sample(pid: int) -> Sample | None:
    """Of a process as it is now; ``None`` when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        return Sample(time.time(), resident, len(os.listdir(f"/proc/{pid}/fd")))  # noqa: PTH208
    except (OSError, StopIteration):
        return None


class Watch:
    """Takes samples of named processes in a thread while it is entered: name and pid → samples."""

    def __init__(self, processes: Callable[[], Mapping[str, int]], every: float) -> None:
        self.samples: dict[tuple[str, int], list[Sample]] = {}
        self._processes, self._every = processes, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            for name, pid in self._processes().items():
                if (taken := sample(pid)) is not None:
                    self.samples.setdefault((name, pid), []).append(taken)

    def longest(self) -> dict[str, list[Sample]]:
        """For each name the samples of the process that lived longest: one that was restarted begins anew."""
        found: dict[str, list[Sample]] = {}
        for (name, _), samples in self.samples.items():
            if len(samples) > len(found.get(name, ())):
                found[name] = samples
        return found
