"""Who does what next, where several devices can do the same: jobs in the order of asking, each by a device
that is free, and by another one too where that does not answer.

One call at a time goes to a device, by a thread that lives as long as there is something to do; so one that
hangs keeps its own call and no other. Everything here belongs to one process.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

from hem_provider.device.key import Key
from hem_provider.errors import HemError, HemKeyNotFound, HemTimeout, KeyNotExportable, MessageTooLong
from hem_provider.keys.members import Member
from hem_provider.logs import INFO, WARNING, Logger
from hem_provider.records import frozen
from hem_provider.threads import begin_thread

__all__ = ["Desk", "Seat", "Standing"]

_log = Logger("hem_provider.keys")

#: How long a device is away for after the first failure (s); it doubles with each that follows.
_FIRST_AWAY: Final = 1.0
#: A device is slow that takes this many times as long as the quickest one usually does.
_SLOW_TIMES: Final = 4.0
#: Least time between two looks at who does not answer (s).
_BREATH: Final = 0.05
#: The desks that the present work is of.
_DOING: contextvars.ContextVar[tuple[Desk, ...]] = contextvars.ContextVar("_DOING", default=())
#: How much the last call counts in what a device usually takes.
_WEIGHT: Final = 0.25


@frozen
class Standing:
    """How the device ``name`` does. ``key``: ``None`` where it is not known yet. ``busy``: for how many
    seconds with one call. ``away``: for how many seconds it is left out still, after ``failures`` in a row,
    the last of which was ``error``."""

    name: str
    key: Key | None
    busy: float
    failures: int
    away: float
    error: HemError | None


class Seat:
    """What is known of a member here: what it does, and how it went."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.job: Job | None = None  #: what it is at
        self.since = 0.0  #: when it was given that
        self.failures = 0  #: in a row; 0: in good standing
        self.until = 0.0  #: until when it is away
        self.error: HemError | None = None  #: the last one
        self.usual: float | None = None  #: seconds of a call that went well
        self._served = False  # whether a thread is at it

    def fail(self, error: HemError, now: float, most: float) -> None:
        """It is away for a while: ``most`` seconds where it failed again and again."""
        self.failures += 1
        away = min(most, _FIRST_AWAY * 2.0 ** min(self.failures - 1, 30))
        self.until, self.error = now + away, error
        level = WARNING if self.failures == 1 else INFO
        _log.log(level, "%s is left out for %.3g s: %s", self.member.name, away, error)

    def succeed(self) -> None:
        """It is in good standing."""
        if self.failures:
            _log.log(INFO, "%s is back", self.member.name)
        self.failures, self.until, self.error = 0, 0.0, None

    def note(self, seconds: float) -> None:
        """It took so long for a call that went well."""
        self.usual = seconds if self.usual is None else self.usual + _WEIGHT * (seconds - self.usual)


class Job:
    """Something that any member can do, and may do more than once."""

    def __init__(self, number: int, work: Callable[[Key], Any], lock: threading.Lock, seconds: float) -> None:
        self.number = number
        self.work = work
        self.seconds = seconds  #: that it has
        self.context = contextvars.copy_context()
        self.gate = threading.Condition(lock)
        self.wants = True  #: another member
        self.patient_until = 0.0
        self.running = 0
        self.tried: list[Seat] = []
        self.errors: dict[str, HemError] = {}
        self.done = False
        self.value: tuple[Any, Key] | None = None
        self.error: BaseException | None = None

    def end(self, value: tuple[Any, Key] | None, error: BaseException | None = None) -> None:
        """The first answer counts."""
        if not self.done:
            self.done, self.value, self.error = True, value, error
            self.gate.notify_all()


class Desk:
    """``patience``: seconds after which another device is asked as well. ``away``: for how many seconds one
    that keeps failing is left alone, at most."""

    def __init__(self, members: Iterable[Member], *, patience: float, away: float) -> None:
        self.seats = [Seat(each) for each in members]
        self._patience = patience
        self._away = away
        self._lock = threading.Lock()
        self._waiting: list[Job] = []
        self._numbers = 0
        self._turn = 0

    def run(self, work: Callable[[Key], Any], ends: float) -> Job:
        """Have it done until ``ends`` (monotonic seconds). The job says how it went; ``errors`` have a reason
        for every member that did not do it. ``RuntimeError`` from within work of this desk."""
        if self in _DOING.get():
            raise RuntimeError(
                "a set of keys was asked from within its own work, which could wait for itself: "
                "use the key that the work was given"
            )
        with self._lock:
            self._numbers += 1
            job = Job(self._numbers, work, self._lock, ends - time.monotonic())
            self._waiting.append(job)
            try:
                self._deal()
                while not job.done:
                    now = time.monotonic()
                    if now >= ends:
                        break
                    if job.running and now >= job.patient_until and not job.wants:
                        job.wants = True
                    self._deal()
                    if job.done or self._is_lost(job):
                        break
                    job.gate.wait(max(0.0, min(ends, self._next_look(job, now)) - time.monotonic()))
            finally:
                self._waiting.remove(job)
                if not job.done:
                    self._explain(job)
        return job

    def leave_out(self, errors: Mapping[str, HemError]) -> None:
        """Devices, by name, that have failed elsewhere than here."""
        with self._lock:
            for each in self.seats:
                if each.member.name in errors:
                    each.fail(errors[each.member.name], time.monotonic(), self._away)

    def standing(self) -> list[Standing]:
        """Of all devices, in order."""
        with self._lock:
            now = time.monotonic()
            return [
                Standing(
                    each.member.name,
                    each.member.key,
                    0.0 if each.job is None else now - each.since,
                    each.failures,
                    max(0.0, each.until - now),
                    each.error,
                )
                for each in self.seats
            ]

    @property
    def patience(self) -> float:
        """Seconds, as things are now: where all devices are slow, none is."""
        usual = [each.usual for each in self.seats if each.usual is not None]
        return max(self._patience, _SLOW_TIMES * min(usual, default=0.0))

    def _patience_of(self, job: Job) -> float:
        """Seconds: another device needs its time too, where a job has little."""
        return min(self.patience, job.seconds / 2)

    def _next_look(self, job: Job, now: float) -> float:
        """When patience with what ``job`` waits for is over, if nothing happens before."""
        if job.running and not job.wants:
            return job.patient_until
        patience = self._patience_of(job)
        others = (each.since for each in self.seats if each.job is not None and each not in job.tried)
        return max(now + _BREATH, min((since + patience for since in others), default=now + patience))

    def _is_lost(self, job: Job) -> bool:
        return not job.running and len(job.tried) == len(self.seats)

    def _explain(self, job: Job) -> None:
        now = time.monotonic()
        for seat in self.seats:
            if seat.job is not None and (seat not in job.tried or seat.job is job):
                reason = HemTimeout(f"{seat.member.name}: busy with one call for {now - seat.since:.3g} s")
                job.errors.setdefault(seat.member.name, reason)
            elif seat.member.name not in job.errors:
                reason = HemTimeout(f"{seat.member.name}: no turn came in time")
                job.errors[seat.member.name] = reason

    def _deal(self) -> None:
        """Give what is free to who waits, the first first."""
        now = time.monotonic()
        for job in list(self._waiting):
            if all(each.job is not None for each in self.seats):
                return
            if job.done or not job.wants:
                continue
            seat = self._choose(job, now)
            if seat is None:
                continue
            healthy = not seat.failures
            self._give(seat, job, now)
            if healthy:
                self._try_out(job, now)

    def _choose(self, job: Job, now: float) -> Seat | None:
        """Of those in good standing the one that has rested longest; while there is such a one, though it be
        busy, no other."""
        left = [each for each in self.seats if each not in job.tried]
        good = [each for each in left if not each.failures]
        free = [each for each in good if each.job is None]
        if free:
            return min(free, key=lambda each: each.since)
        patience = self._patience_of(job)
        if any(now - each.since <= patience for each in good):
            return None
        return min((each for each in left if each.job is None), key=lambda each: each.until, default=None)

    def _try_out(self, job: Job, now: float) -> None:
        """Whoever's time of being away is over shows what it can by a job that it holds up by no means."""
        for seat in self.seats:
            if seat.failures and seat.job is None and seat.until <= now and seat not in job.tried:
                self._give(seat, job, now)
                return

    def _give(self, seat: Seat, job: Job, now: float) -> None:
        seat.job, seat.since = job, now
        job.tried.append(seat)
        job.running += 1
        job.wants = False
        job.patient_until = now + self._patience_of(job)
        if seat._served:
            return
        seat._served = True
        if begin_thread(partial(self._serve, seat), "hem key set") is None:
            seat._served, seat.job = False, None
            job.running -= 1
            job.end(None, RuntimeError("no thread can be started"))

    def _serve(self, seat: Seat) -> None:
        """A thread: one job after another, as long as there are any."""
        while True:
            job = seat.job
            assert job is not None  # noqa: S101 - it is given before this runs
            value: tuple[Any, Key] | None = None
            error: BaseException | None = None
            try:
                value = job.context.copy().run(self._do, job.work, seat.member)
            except BaseException as raised:
                error = raised
            with self._lock:
                self._note(seat, job, value, error)
                del job, error, value  # the next one may be long in coming
                seat.job = None
                self._deal()
                if seat.job is None:
                    seat._served = False
                    return

    def _do(self, work: Callable[[Key], Any], member: Member) -> tuple[Any, Key]:
        """In a context of its own. A key that is gone may have another in its place."""
        _DOING.set((*_DOING.get(), self))
        key = member.found()
        try:
            return work(key), key
        except HemKeyNotFound:
            other = member.found_anew()
            if other == key:
                raise
            _log.log(WARNING, "%s: key %s is gone, and %s in its place", member.name, key.kid, other.kid)
            return work(other), other

    def _note(self, seat: Seat, job: Job, value: tuple[Any, Key] | None, error: BaseException | None) -> None:
        now = time.monotonic()
        took = now - seat.since
        job.running -= 1
        if value is not None:
            if took > self.patience:
                late = HemTimeout(f"{seat.member.name}: it answered after {took:.3g} s")
                seat.fail(late, now, self._away)
            else:
                seat.succeed()
            seat.note(took)
            job.end(value)
        elif isinstance(error, KeyNotExportable) or not isinstance(error, HemError):
            job.end(None, error)
        else:
            if not isinstance(error, MessageTooLong):  # which is no fault of the device
                seat.fail(error, now, self._away)
                seat.usual = None
            job.errors[seat.member.name] = error
            job.wants = True
            job.gate.notify_all()
