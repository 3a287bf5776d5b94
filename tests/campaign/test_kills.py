"""A short form of the part ``kills``; and that it tells of writers that are not as they should be."""

from __future__ import annotations

import json
import os
import random
from typing import Any, ClassVar

import pytest

from campaign.device_subjects import EmulatorSubject, LogSubject
from campaign.ending import can_trace, ended
from campaign.file_subjects import CacheSubject, ConfigSubject, HiddenVaultSubject, StoreSubject, VaultSubject
from campaign.kills import SUBJECTS, judge, kill_often, outcome_of, prepared
from campaign.server_subjects import kill_agents, kill_emulators
from campaign.subjects import Damaged, State, Subject, Write
from campaign.tally import Tally

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
#: The dear ones are killed less often here.
KILLS = {
    VaultSubject: 14, HiddenVaultSubject: 6, StoreSubject: 6, CacheSubject: 14, ConfigSubject: 5,
    LogSubject: 4, EmulatorSubject: 14,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("kills")
    with prepared(place):
        yield place


def test_all_subjects_are_killed_here():
    assert set(KILLS) == set(SUBJECTS)


@pytest.mark.parametrize("kind", KILLS)
def test_nothing_is_lost_doubled_half_done_or_left(kind, folder):
    tally = kill_often(kind, KILLS[kind], random.Random(1), folder / kind.__name__)  # noqa: S311
    assert tally.failures == []
    assert outcome_of([tally]).problems() == []
    assert tally.kills == KILLS[kind]
    if can_trace(folder / "trace.log"):
        assert tally.at_calls >= tally.kills / 2
        assert len(tally.points) == tally.at_calls  # each before another call


@pytest.mark.parametrize("kill", [kill_emulators, kill_agents])
def test_servers_with_clients_in_the_middle_of_their_calls(kill, folder):
    tally = kill(EmulatorSubject.template, 2, random.Random(1), folder / kill.__name__)  # noqa: S311
    assert tally.failures == []
    assert tally.acknowledged > 0


# --- writers that are not as they should be --------------------------------------------------------


class Plain(Subject):
    """All texts in one file, which is written anew beside it and renamed: as it should be."""

    name = "plain"
    what = "a test"
    kept: ClassVar = ("file",)

    @property
    def path(self) -> Any:
        return self.folder / "file"

    def begin(self) -> None:
        self.write_file(b"{}")

    def plan(self, chance: random.Random, state: State) -> list[Write]:  # noqa: ARG002
        names = [f"{chance.getrandbits(40):x}" for _ in range(3)]
        return [Write("set", {each: "x" * 5000}) for each in names]

    def carry_out(self, write: Write) -> None:
        self.write_file(json.dumps({**dict(self.read()), **write.changes}).encode())

    def write_file(self, data: bytes) -> None:
        beside = self.folder / ".file.0123456789abcdef.tmp"
        self.write_at(beside, data, os.O_TRUNC)
        beside.rename(self.path)

    def write_at(self, path: Any, data: bytes, flags: int) -> None:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o600)
        for start in range(0, len(data), 4000):
            os.write(handle, data[start : start + 4000])
        os.close(handle)

    def read(self) -> list[tuple[str, str]]:
        try:
            return list(json.loads(self.path.read_bytes()).items())
        except ValueError as error:
            raise Damaged("no JSON") from error


class InPlace(Plain):
    """Writes over what is there."""

    def write_file(self, data: bytes) -> None:
        self.write_at(self.path, data, os.O_TRUNC)


class Littering(Plain):
    """Each temporary file has another name, and nobody looks for those of dead writers."""

    def write_file(self, data: bytes) -> None:
        beside = self.folder / f"new-{os.urandom(4).hex()}"
        self.write_at(beside, data, os.O_EXCL)
        beside.rename(self.path)


class Hasty(Plain):
    """Says that it is done before it is."""

    waiting: Write | None = None

    def carry_out(self, write: Write) -> None:
        before, self.waiting = self.waiting, write
        if before is not None:
            super().carry_out(before)


class Locked(Plain):
    """A lock that is a file, and stays when its holder dies."""

    kept: ClassVar = ("file", "lock")

    def carry_out(self, write: Write) -> None:
        os.close(os.open(self.folder / "lock", os.O_CREAT | os.O_EXCL, 0o600))
        super().carry_out(write)
        (self.folder / "lock").unlink()


class Open(Plain):
    """Anybody may read it."""

    def write_file(self, data: bytes) -> None:
        super().write_file(data)
        self.path.chmod(0o644)


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (Plain, None), (InPlace, "half"), (Littering, "left_over"), (Hasty, "lost"), (Locked, "half"),
        (Open, "open_to_others"),
    ],
)  # fmt: skip
def test_what_a_writer_does_wrong_is_told(kind, what, tmp_path):
    if not can_trace(tmp_path / "trace"):
        pytest.skip("not run: nothing may be traced here, and at any time a kill may miss the moment")
    tally = kill_often(kind, 16, random.Random(3), tmp_path / "kills")  # noqa: S311
    if what is None:
        assert tally.failures == []
        assert tally.kills == 16
        return
    assert getattr(tally, what) > 0
    assert tally.failures
    assert outcome_of([tally]).problems()


def judged(state, writes, done, found):
    tally = Tally("t", "w")
    judge(tally, Plain(None), state, writes, done, found)
    return [name for name in ("in_flight", "lost", "doubled", "half") if getattr(tally, name)]


@pytest.mark.parametrize(
    ("done", "found", "told"),
    [
        (1, [("a", "1"), ("b", "2")], []),
        (1, [("c", "1"), ("b", "2")], ["in_flight"]),
        (1, [("a", "1"), ("b", "2"), ("c", "1")], ["half"]),
        (1, [("b", "2")], ["half"]),
        (1, [("a", "1")], ["lost"]),
        (1, [("a", "1"), ("b", "3")], ["lost"]),
        (1, [("a", "1"), ("b", "2"), ("b", "2")], ["doubled"]),
        (1, [("a", "1"), ("b", "2"), ("d", "2")], ["doubled"]),
        (2, [("a", "1"), ("b", "2")], ["lost", "doubled"]),
    ],
)
def test_what_is_there_is_held_against_what_was_acknowledged(done, found, told):
    writes = [Write("set", {"b": "2"}), Write("rename", {"a": None, "c": "1"})]
    assert judged({"a": "1"}, writes, done, found) == told


def test_a_child_is_killed_before_the_call_that_is_meant(tmp_path):
    if not can_trace(tmp_path / "trace"):
        pytest.skip("not run: nothing may be traced here")

    def work(tell):
        for number in range(5):
            (tmp_path / str(number)).mkdir()  # one system call
        tell("done")

    whole = ended(work, tmp_path / "log", call=10**6)
    assert (whole.killed, whole.told, whole.words) == (False, ("done",), "")
    made = []
    for call in range(1, whole.calls + 1):
        for number in range(5):
            (tmp_path / str(number)).rmdir() if (tmp_path / str(number)).exists() else None
        assert ended(work, tmp_path / "log", call=call).killed
        made.append(sum((tmp_path / str(number)).exists() for number in range(5)))
    assert made == sorted(made)
    assert set(made) == set(range(6))


def test_a_child_that_fails_by_itself_says_how(tmp_path):
    def work(_):
        raise ValueError("so")

    ending = ended(work, tmp_path / "log")
    assert (ending.killed, ending.words) == (False, "ValueError: so")
