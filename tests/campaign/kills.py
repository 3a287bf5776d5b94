"""Kills: ``kill -9`` of what writes, at every system call and at any time; then what is there is held against
what was acknowledged."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.rig import ROUNDS, make_template

from campaign.device_subjects import EmulatorSubject, LogSubject
from campaign.ending import Ending, Tell, can_trace, ended
from campaign.file_subjects import CacheSubject, ConfigSubject, HiddenVaultSubject, StoreSubject, VaultSubject
from campaign.outcome import Effort, Figure, Outcome, Table
from campaign.server_subjects import kill_agents, kill_emulators
from campaign.subjects import Damaged, State, Subject, Write, after
from campaign.tally import Tally
from hem_provider.rest import credential

__all__ = ["SUBJECTS", "judge", "kill_often", "prepared", "run"]

SUBJECTS: tuple[type[Subject], ...] = (
    VaultSubject, HiddenVaultSubject, StoreSubject, CacheSubject, ConfigSubject, LogSubject, EmulatorSubject,
)  # fmt: skip
#: Kills of each subject in a whole campaign.
KILLS = 1000
#: Failures of one subject, after which there is no need to go on.
_ENOUGH = 20


def judge(
    tally: Tally, subject: Subject, state: State, writes: list[Write], done: int, found: list[tuple[str, str]]
) -> None:
    """Hold what is there against what was there before, and what was acknowledged since."""
    expected = dict(state)
    for write in writes[:done]:
        expected = after(expected, write)
    now = dict(found)
    if len(now) < len(found):
        names = [name for name, _ in found]
        twice = sorted({each for each in names if names.count(each) > 1})
        tally.tell("doubled", f"{', '.join(twice)} more than once after {done} of {len(writes)} writes")
    if now == expected:
        return
    flying = writes[done] if done < len(writes) else Write("", {})
    later = after(expected, flying)
    if now == later:
        tally.in_flight += 1
        return
    parts = [(now.get(name), expected.get(name), later.get(name)) for name in flying.changes]
    if not any(all(part[0] == part[side] for part in parts) for side in (1, 2)):
        strange = [part for part in parts if part[0] not in part[1:]]
        if strange or subject.whole:
            words = (
                f"{_size(strange[0][0])}, neither as before nor as after"
                if strange
                else "a part of it is done"
            )
            tally.tell("half", f"{flying}: {words}")
    for name in sorted({*expected, *now} - set(flying.changes)):
        was, there = expected.get(name), now.get(name)
        if there == was:
            continue
        if was is None:
            tally.tell("doubled", f"{name} is there and should not be")
        elif there is None:
            tally.tell("lost", f"{name} is gone, {done} of {len(writes)} writes were acknowledged")
        else:
            tally.tell("lost", f"{name} is not as it was acknowledged: {_size(there)}")


def _size(value: str | None) -> str:
    return "nothing" if value is None else f"{len(value)} characters"


def kill_often(kind: type[Subject], kills: int, chance: random.Random, folder: Path) -> Tally:
    """So many kills of one subject, three of four before system calls, in order of a shuffle, where children
    can be traced, else all at any time."""
    tally = Tally(kind.name, kind.what, bound=kind.bound)
    folder.mkdir(mode=0o700)
    log = folder / "log"
    tracing = can_trace(log)
    number, seconds, course = 0, 0.0, iter(())
    while tally.kills < kills:
        place = folder / str(number)
        place.mkdir(mode=0o700)
        number += 1
        subject = kind(place)
        subject.begin()
        state: State = dict(subject.read())
        lives = 0
        try:
            if number == 1:  # one that is not killed tells how long it takes, by calls and by time
                for _ in range(2):
                    calls, seconds, state = _measured(subject, chance, state, log, tracing, tally)
                tally.of = calls
                if tally.failures:
                    return tally
            while lives < kind.life and tally.kills < kills:
                lives += 1
                call = None
                if tracing and lives % 4:
                    call = next(course, 0)
                    if not call:
                        course = iter(chance.sample(range(1, tally.of + 1), tally.of))
                        call = next(course)
                state = _one(subject, chance, state, log, tally, call, chance.uniform(0, seconds * 1.05))
        except Damaged as damage:
            tally.tell("half", str(damage))
        finally:
            subject.end()
        if len(tally.failures) > _ENOUGH or not seconds:
            break
        shutil.rmtree(place)
    return tally


def _run(
    subject: Subject, writes: list[Write], log: Path, *, call: int | None = None, seconds: float | None = None
) -> Ending:
    def work(tell: Tell) -> None:
        for number, write in enumerate(writes):
            subject.carry_out(write)
            tell(str(number))

    return ended(work, log, before=subject.prepare, call=call, seconds=seconds)


def _measured(
    subject: Subject, chance: random.Random, state: State, log: Path, tracing: bool, tally: Tally
) -> tuple[int, float, State]:
    writes = subject.plan(chance, state)
    whole = _run(subject, writes, log, call=2**31 if tracing else None)
    if whole.words or len(whole.told) != len(writes):
        tally.tell("lost", f"a plan without a kill: {whole.words or whole.told}; {_tail(log)}")
    state = dict(subject.read())
    writes = subject.plan(chance, state)
    timed = _run(subject, writes, log)
    return whole.calls, timed.seconds, dict(subject.read())


def _one(
    subject: Subject, chance: random.Random, state: State, log: Path, tally: Tally, call: int | None,
    seconds: float,
) -> State:  # fmt: skip
    """One kill, and what is there then; the state that follows."""
    writes = subject.plan(chance, state)
    ending = _run(subject, writes, log, call=call, seconds=seconds)
    if ending.words:
        tally.tell("lost", f"the writer failed by itself: {ending.words}; {_tail(log)}")
    if ending.killed:
        tally.kills += 1
        if call is not None:
            tally.at_calls += 1
            tally.points.add(call)
    tally.acknowledged += len(ending.told)
    found = subject.read()
    judge(tally, subject, state, writes, len(ending.told), found)
    tally.temporary += subject.let_an_hour_pass()
    state = dict(found)
    (write, *_) = subject.plan(chance, state)
    began = time.monotonic()
    try:
        subject.carry_out_alone(write)
    except Exception as error:
        raise Damaged(f"the next writer fails: {type(error).__name__}: {error}") from error
    waited = time.monotonic() - began
    tally.wait = max(tally.wait, waited)
    if waited > tally.bound:
        tally.failures.append(f"{tally.name}: {tally.kills}: the next writer waited {waited:.1f} s")
    found = subject.read()
    judge(tally, subject, state, [write], 1, found)
    for each in subject.left_over():
        tally.tell("left_over", f"{each} is left over")
    for each in subject.open_to_others():
        tally.tell("open_to_others", f"{each} is open to others")
    return dict(found)


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


@contextlib.contextmanager
def _environment_kept() -> Iterator[None]:
    """Whatever subjects put into it."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def prepared(folder: Path) -> Iterator[None]:
    """A home of its own, a device to copy, and few rounds where a client logs in."""
    with pytest.MonkeyPatch.context() as patch:
        for name in (
            "HOME",
            "XDG_CONFIG_HOME",
            "XDG_DATA_HOME",
            "XDG_CACHE_HOME",
            "XDG_RUNTIME_DIR",
            "TMPDIR",
        ):
            place = folder / name.lower()
            place.mkdir(mode=0o700)
            patch.setenv(name, str(place))
        patch.setattr(tempfile, "tempdir", None)
        for name in ("HEM_URL", "HEM_CONFIG"):
            patch.delenv(name, raising=False)
        nothing = folder / "none.toml"
        nothing.touch(mode=0o600)
        patch.setenv("HEM_CONFIG", str(nothing))
        patch.setenv("HEM_PKCS11_LOG", "stderr:error")
        patch.setattr(logging.getLogger("hem_provider"), "level", logging.CRITICAL)  # kills are no news here
        template = make_template(folder / "template.hem", patch)
        patch.setattr(credential, "PBKDF2_ITERATIONS", ROUNDS)
        for kind in (EmulatorSubject, LogSubject):
            patch.setattr(kind, "template", template, raising=False)
        patch.setattr(StoreSubject, "device", template, raising=False)
        yield


def run(effort: Effort) -> Outcome:
    """All subjects."""
    tallies = []
    with prepared(effort.folder):
        for number, kind in enumerate(SUBJECTS):
            chance = random.Random(effort.seed * 1000 + number)  # noqa: S311 - the same moments each time
            with _environment_kept():
                tallies.append(kill_often(kind, effort.times(KILLS), chance, effort.folder / f"{number}"))
        for kill in (kill_emulators, kill_agents):
            chance = random.Random(f"{effort.seed} {kill.__name__}")  # noqa: S311
            place = effort.folder / kill.__name__
            with _environment_kept():
                tallies.append(kill(EmulatorSubject.template, effort.times(KILLS), chance, place))
    return outcome_of(tallies)


def outcome_of(tallies: list[Tally]) -> Outcome:
    """Figures of all, a table by subject."""

    def of(name: str) -> int:
        return sum(int(getattr(each, name)) for each in tallies)

    kills, acknowledged = of("kills"), of("acknowledged")
    figures = [
        Figure("kills", kills, "", f"some of each of {len(tallies)} subjects",
               all(each.kills for each in tallies)),
        Figure("kills just before a system call", of("at_calls")),
        Figure("different system calls among them", sum(len(each.points) for each in tallies)),
        Figure("acknowledged writes, all looked for", acknowledged, "", "more than 0", kept=acknowledged > 0),
        Figure("writes that were not acknowledged and are there", of("in_flight")),
        *(
            Figure(words, of(name), "", "0", of(name) == 0)
            for name, words in (
                ("lost", "acknowledged writes lost"),
                ("doubled", "writes doubled"),
                ("half", "writes half done"),
                ("left_over", "files left over behind the next writer"),
                ("open_to_others", "files open to others"),
            )
        ),
        Figure("temporary files of killed writers, which a later writer removed", of("temporary")),
        *(
            Figure(f"{each.name}: longest wait of the next", round(each.wait, 3), "s", f"≤ {each.bound:g} s",
                   each.wait <= each.bound)
            for each in tallies
        ),
    ]  # fmt: skip
    columns = ("subject", "written by", "kills", "before calls", "of calls", "acknowledged", "lost",
               "doubled", "half", "left over", "next writer")  # fmt: skip
    rows = [
        (each.name, each.what, str(each.kills), str(each.at_calls), f"{len(each.points)} of {each.of}",
         str(each.acknowledged), str(each.lost), str(each.doubled), str(each.half), str(each.left_over),
         f"{each.wait * 1000:.0f} ms")
        for each in tallies
    ]  # fmt: skip
    failures = [told for each in tallies for told in each.failures]
    return Outcome(
        "kills", "Kills", _WHAT, figures=figures, tables=[Table("Kills by subject", columns, rows)],
        failures=failures,
    )  # fmt: skip


_WHAT = """\
A writer makes numbered writes and says which are done; `kill -9` ends it just before its n-th system call
(ptrace, every n of a plan in turn) or after a time. Then everything that it said is looked for, and nothing
else may be there but the one write under way, wholly or not at all. The next writer has to go on at once
and to leave no file of the dead one; a temporary file that a kill left is removed by the first write an
hour later (the vault's and the log's by the next one), for which the time of the file is set back. Servers
are killed while three clients are in the middle of their calls, and while they start: each key that a
client was told of is on the device once, each that it was not told of at most once.
"""
