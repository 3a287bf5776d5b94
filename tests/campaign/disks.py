"""Disks and clocks: what writes meets a disk that is full, without inodes, read-only, over its quota, and a
clock that is wrong; then what is there is held against what was acknowledged and what was refused."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import logging
import os
import random
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from campaign.device_subjects import EmulatorSubject, LogSubject
from campaign.ending import Tell, ended
from campaign.file_subjects import CacheSubject, ConfigSubject, HiddenVaultSubject, StoreSubject, VaultSubject
from campaign.kills import judge, prepared
from campaign.outcome import Effort, Figure, Outcome, Table
from campaign.subjects import State, Subject, Write, after
from campaign.tally import Tally

__all__ = ["DISKS", "NOT_TRIED", "SUBJECTS", "may_mount", "run", "try_often"]

SUBJECTS: tuple[type[Subject], ...] = (
    VaultSubject, HiddenVaultSubject, StoreSubject, CacheSubject, ConfigSubject, LogSubject, EmulatorSubject,
)  # fmt: skip
#: Tries of each subject on each disk in a whole campaign.
TRIES = 40
_NEW_NAMESPACE = 0x20000
_DAY = 86400.0


class Disk:
    """What a writer meets. ``reasons``: errors of the system that it causes; none: nothing may fail."""

    mounts = False
    reasons: tuple[int, ...] = ()

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder, self.chance = folder, chance

    def begin(self) -> None:
        """Before anything is written."""

    def spoil(self) -> None:
        """Now."""

    def mend(self) -> None:
        """It is well again."""


class _Small(Disk):
    """A file system in memory of 2 MiB, full but for some KiB."""

    mounts, reasons, options = True, (errno.ENOSPC,), "size=2m"

    def begin(self) -> None:
        command = ["mount", "-t", "tmpfs", "-o", f"mode=700,{self.options}", "none", str(self.folder)]
        subprocess.run(command, check=True, capture_output=True)

    def spoil(self) -> None:
        filler = os.open(self.folder / "filler", os.O_WRONLY | os.O_CREAT, 0o600)
        with contextlib.suppress(OSError):
            while os.write(filler, bytes(4096)):
                pass
        size = os.fstat(filler).st_size
        os.ftruncate(filler, max(0, size - 4096 * self.chance.randrange(4)))
        os.close(filler)

    def mend(self) -> None:
        (self.folder / "filler").unlink()


class _NoInodes(_Small):
    """One that has room, and no place for another file, or for one or two."""

    options = "size=8m,nr_inodes=100"

    def spoil(self) -> None:
        place = self.folder / "filler"
        place.mkdir()
        number = 0
        with contextlib.suppress(OSError):
            while True:
                (place / str(number)).touch()
                number += 1
        for each in range(self.chance.randrange(3)):
            (place / str(number - 1 - each)).unlink(missing_ok=True)

    def mend(self) -> None:
        shutil.rmtree(self.folder / "filler")


class _ReadOnly(_Small):
    """One that is mounted anew for reading alone."""

    reasons, options = (errno.EROFS,), "size=8m"

    def spoil(self) -> None:
        subprocess.run(["mount", "-o", "remount,ro", str(self.folder)], check=True, capture_output=True)

    def mend(self) -> None:
        subprocess.run(["mount", "-o", "remount,rw", str(self.folder)], check=True, capture_output=True)


class _LargestFile(Disk):
    """No file may become larger than some hundred bytes or some KiB (``RLIMIT_FSIZE``)."""

    reasons = (errno.EFBIG,)

    def spoil(self) -> None:
        most = self.chance.choice((0, 1, 100, 1000, 5000))
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    def mend(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class _Quota(Disk):
    """A user's quota that is reached within a write: some bytes are taken, then none (``EDQUOT``)."""

    reasons = (errno.EDQUOT,)

    def spoil(self) -> None:
        self._real, self._left = (os.write, os.pwrite), self.chance.choice((0, 1, 50, 300, 3000))
        os.write = lambda handle, data: self._write(handle, data, self._real[0])
        os.pwrite = lambda handle, data, at: self._write(handle, data, lambda h, d: self._real[1](h, d, at))

    def _write(self, handle: int, data: Any, real: Callable[[int, Any], int]) -> int:
        if not os.path.realpath(f"/proc/self/fd/{handle}").startswith(f"{self.folder}/"):
            return real(handle, data)
        if data and not self._left:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        taken = real(handle, bytes(data)[: self._left])
        self._left -= taken
        return taken

    def mend(self) -> None:
        os.write, os.pwrite = self._real


class _Clock(Disk):
    """A clock that is wrong by ``seconds``, as Python programs read it, and then is right again."""

    seconds = -_DAY

    def spoil(self) -> None:
        self._real = time.time
        real, seconds = time.time, self.seconds
        time.time = lambda: real() + seconds

    def mend(self) -> None:
        time.time = self._real


class _LongAgo(_Clock):
    """Four hundred days ago."""

    seconds = -400 * _DAY


class _FarAhead(_Clock):
    """Four hundred days ahead."""

    seconds = 400 * _DAY


#: In the order of the table.
DISKS: Mapping[str, type[Disk]] = {
    "full": _Small, "no inodes": _NoInodes, "read-only": _ReadOnly, "quota": _Quota,
    "file size": _LargestFile, "clock a day back": _Clock, "clock 400 days back": _LongAgo,
    "clock 400 days ahead": _FarAhead,
}  # fmt: skip
#: SQLite writes past Python's own calls, for which a quota stands here: the limit of a file's size does,
#: which holds for the device's state too where that is in the same process. What has a database open is not
#: mounted anew for reading alone.
NOT_TRIED = {
    ("quota", EmulatorSubject), ("read-only", EmulatorSubject),
    ("file size", StoreSubject), ("file size", LogSubject),
}  # fmt: skip


def may_mount(folder: Path) -> bool:
    """Whether this process may mount file systems, for itself alone."""

    def work(tell: Tell) -> None:
        _apart()
        _Small(folder, random.Random()).begin()  # noqa: S311
        tell("mounted")

    return ended(work, folder / "log").told == ("mounted",)


def _apart() -> None:
    """With mounts of its own, which end with the process."""
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_NAMESPACE):
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True, capture_output=True)


def try_often(kind: type[Subject], name: str, tries: int, chance: random.Random, folder: Path) -> Tally:
    """One subject on one disk so often, each time in a process and a folder of its own."""
    tally = Tally(kind.name, name, bound=kind.bound)
    folder.mkdir(mode=0o700)
    for number in range(tries):
        place = folder / str(number)
        place.mkdir(mode=0o700)
        log = folder / f"{number}.log"
        seed = chance.getrandbits(32)
        ending = ended(lambda tell, place=place, seed=seed: _try(kind, name, seed, place, tell), log)  # type: ignore[misc]
        tally.kills += 1
        if ending.words or len(ending.told) != 1:
            tally.tell("lost", f"{name}: {ending.words or 'nothing was told'} (seed {seed})")
            continue
        found = json.loads(ending.told[0])
        tally.failures += [f"{each} (seed {seed})" for each in found.pop("failures")]
        tally.wait = max(tally.wait, found.pop("wait"))
        for count, value in found.items():
            setattr(tally, count, getattr(tally, count) + value)
        shutil.rmtree(place)
        log.unlink()
    return tally


def _try(kind: type[Subject], name: str, seed: int, place: Path, tell: Tell) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same each time
    home = place / "subject"
    home.mkdir(mode=0o700)
    disk = DISKS[name](home, chance)
    tally = Tally(kind.name, name, kills=1)
    said = _hear()
    if disk.mounts:
        _apart()
    disk.begin()
    subject = kind(home)
    subject.begin()
    state: State = dict(subject.read())
    for write in subject.plan(chance, state):
        subject.carry_out_alone(write)
        state = after(state, write)
    judge(tally, subject, state, [], 0, subject.read())
    disk.spoil()
    try:
        for _ in range(4):
            (write, *_) = subject.plan(chance, state)
            state = _written(tally, subject, disk, state, write, said)
    finally:
        disk.mend()
    judge(tally, subject, state, [], 0, found := subject.read())
    for _ in range(2):
        subject.let_an_hour_pass()
        (write, *_) = subject.plan(chance, dict(found))
        state = dict(found)
        began = time.monotonic()
        subject.carry_out_alone(write)
        tally.wait = max(tally.wait, time.monotonic() - began)
        judge(tally, subject, state, [write], 1, found := subject.read())
    for each in subject.left_over():
        tally.tell("left_over", f"{each} is left over")
    for each in subject.open_to_others():
        tally.tell("open_to_others", f"{each} is open to others")
    subject.end()
    counts = ("acknowledged", "refused", "lost", "doubled", "half", "left_over", "open_to_others", "wait")
    tell(json.dumps({**{each: getattr(tally, each) for each in counts}, "failures": tally.failures}))


def _hear() -> int:
    """A pipe in the place of standard output and error: a limit of files holds for those of the log too."""
    reader, writer = os.pipe2(os.O_NONBLOCK)
    os.dup2(writer, 1)
    os.dup2(writer, 2)
    log = logging.getLogger("hem_provider")
    log.setLevel(logging.WARNING)
    log.addHandler(logging.StreamHandler(os.fdopen(writer, "w")))
    return reader


def _heard(said: int) -> str:
    with contextlib.suppress(BlockingIOError):
        return os.read(said, 1 << 20).decode(errors="replace")
    return ""


def _written(tally: Tally, subject: Subject, disk: Disk, state: State, write: Write, said: int) -> State:
    """A write on a spoilt disk: it is done, or is refused by name and for its reason."""
    _heard(said)
    try:
        subject.carry_out_alone(write)
    except Exception as error:
        words = f"{error} {_heard(said)}"
        tally.refused += 1
        if not any(subject.names(words, os.strerror(each)) for each in disk.reasons):
            tally.failures.append(f"{tally.name}, {tally.what}: {write.kind}: {words.strip()[:300]!r}")
        done = 0
    else:
        tally.acknowledged += 1
        done = 1
    if not subject.readable:
        return after(state, write) if done else state
    found = subject.read()
    either = (not done and not subject.whole) or not subject.tells
    judge(tally, subject, state, [write] if done or either else [], 0 if either else done, found)
    return dict(found)


def run(effort: Effort) -> Outcome:
    """All subjects on all disks."""
    tallies = []
    with prepared(effort.folder):
        mounting = effort.folder / "mounting"
        mounting.mkdir()
        mounts = may_mount(mounting)
        for kind in SUBJECTS:
            for name, disk in DISKS.items():
                if (name, kind) in NOT_TRIED or (disk.mounts and not mounts):
                    continue
                chance = random.Random(f"{effort.seed} {kind.__name__} {name}")  # noqa: S311
                place = effort.folder / f"{kind.__name__} {name}"
                tallies.append(try_often(kind, name, effort.times(TRIES), chance, place))
    return outcome_of(tallies, mounts=mounts)


def outcome_of(tallies: list[Tally], *, mounts: bool) -> Outcome:
    """Figures of all, a table of subjects and disks."""

    def of(name: str) -> int:
        return sum(int(getattr(each, name)) for each in tallies)

    done, refused = of("acknowledged"), of("refused")
    figures = [
        Figure("tries", of("kills"), "", "more than 0", bool(tallies)),
        Figure("writes done on a disk or by a clock that was not well", done, "", "more than 0", done > 0),
        Figure("writes refused, with file and reason", refused, "", "more than 0", refused > 0),
        *(
            Figure(words, of(name), "", "0", of(name) == 0)
            for name, words in (
                ("lost", "acknowledged writes lost"),
                ("doubled", "writes doubled, or refused and done"),
                ("half", "writes half done"),
                ("left_over", "files left over behind the next writer"),
                ("open_to_others", "files open to others"),
            )
        ),
        Figure("longest write when all was well again",
               round(max((each.wait for each in tallies), default=0), 3), "s", "≤ 5 s",
               all(each.wait <= each.bound for each in tallies)),
    ]  # fmt: skip
    cells = {(each.name, each.what): _cell(each) for each in tallies}
    rows = [(kind.name, *(cells.get((kind.name, name), "not tried") for name in DISKS)) for kind in SUBJECTS]
    what = _WHAT if mounts else f"{_WHAT} Nothing may be mounted here: what needs that was not tried."
    return Outcome(
        "disks", "Full disks and wrong clocks", what, figures=figures,
        tables=[Table("Done / refused writes, by subject and disk", ("subject", *DISKS), rows)],
        failures=[told for each in tallies for told in each.failures],
    )  # fmt: skip


def _cell(tally: Tally) -> str:
    bad = len(tally.failures)
    return f"{tally.acknowledged} / {tally.refused}" + (f", **{bad} wrong**" if bad else "")


_WHAT = """\
Each writer meets a file system in memory that is full but for some KiB, one without inodes, one that is
mounted for reading alone, a quota (`EDQUOT` from within `write`: not every kernel has quotas), the largest
size that its files may have, and a clock, as Python programs read it, that is a day or 400 days wrong and
then right again. A write that is said to be done has to be there, one that is refused must not, and its
error names the file and the reason; when all is well again the next write works and nothing is left behind.
Caches tell nobody: what they could not keep costs a call.
"""
