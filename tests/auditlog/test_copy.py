"""A copy of the log: what is appended is there, in order, whatever happened meanwhile."""

from __future__ import annotations

import errno
import gzip
import lzma
import os
import re
import stat

import pytest

from hem_provider.auditlog.copy import Busy, LogCopy, Tip, usual_folder
from hem_provider.auditlog.entry import BEGINNING, Entry, OwnEvent
from hem_provider.device.auditlog import Event, record_of
from hem_provider.errors import HemLogDamaged

DAY = 86400.0


def entry(raw="1|62310ba5|1|0|||rfB1gKL0hTi5tGh8PDerAA", line=3, **values):
    record = record_of(raw.encode("utf-8", "surrogateescape"), line, genuine=True)
    settings = {"own": None, **values}
    return Entry(0, 1_700_000_000, "ZLEB", "ab" * 32, "62310ba5", line, raw, record, **settings)


def own(name="gap", **data):
    return Entry(0, 1_700_000_000, "ZLEB", "ab" * 32, "", 0, "", None, OwnEvent(name, "3 follows 1", data))


class Clock:
    now = 1_700_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def copy(tmp_path):
    return LogCopy(tmp_path / "copy")


@pytest.fixture
def add(copy, clock):
    """Appends entries, in a run of its own."""

    def add(*entries):
        with copy.writing(clock) as writer:
            return writer.append(entries)

    return add


def test_what_is_appended_is_read_with_numbers_without_gaps(copy, add):
    given = [entry(), own(missing=[1, 2]), entry("# Encedo nGINE FW v1.2.2", 1)]
    numbered = add(*given)
    assert [each.number for each in numbered] == [1, 2, 3]
    assert add(entry(line=4))[0].number == 4
    found = list(copy.entries())
    assert found[:3] == numbered
    assert found[0].record.event == Event.STARTUP
    assert (found[2].record, found[1].own.data) == (None, {"missing": [1, 2]})
    assert copy.last() == found[-1]
    assert list(copy.entries(3)) == found[3:]
    assert list(copy.entries(4)) == []


@pytest.mark.parametrize(
    "raw", [b"", b"\xff\x00\x80", b"a\rb\x1b[2J", "ü☃".encode(), b'"\\', b"x" * 2**20, b"\xed\xa0\x80"]
)
def test_lines_of_any_bytes_come_back_as_they_were(copy, add, raw):
    add(entry(raw.decode("utf-8", "surrogateescape"), end="\n"))
    (found,) = copy.entries()
    assert (found.text, found.end) == (raw, "\n")


def test_files_are_this_users_alone_one_a_day(copy, add, clock):
    add(entry())
    clock.now += DAY
    add(entry())
    clock.now -= 3 * DAY  # a clock that was set back makes no file before the newest
    add(entry())
    assert [each.day for each in copy.days()] == ["2023-11-14", "2023-11-15"]
    assert [each.number for each in copy.entries()] == [1, 2, 3]
    modes = {stat.S_IMODE(each.stat().st_mode) for each in copy.folder.iterdir()}
    assert (modes, stat.S_IMODE(copy.folder.stat().st_mode)) == ({0o600}, 0o700)


@pytest.mark.parametrize("left", [b'{"number":3,"coll', b"\0" * 5000, b'{"number":3,\0\0\0\0'])
def test_a_line_that_was_torn_is_cut_off_and_no_whole_one(copy, add, left):
    add(entry(), entry())
    (day,) = copy.days()
    with day.path.open("ab") as file:
        file.write(left)
    assert [each.number for each in copy.entries()] == [1, 2]
    assert copy.last().number == 2
    add(entry())
    assert [each.number for each in copy.entries()] == [1, 2, 3]
    assert day.path.read_bytes().count(b"\n") == 4
    assert b"\0" not in day.path.read_bytes()


@pytest.mark.parametrize("left", [b"", b'{"copy":1,"day'])
def test_a_file_that_was_only_begun_is_begun_anew(copy, add, clock, left):
    add(entry())
    clock.now += DAY
    path = copy.folder / "2023-11-15.jsonl"
    path.write_bytes(left)
    path.chmod(0o600)
    assert [each.number for each in copy.entries()] == [1]
    add(entry())
    assert [each.number for each in copy.entries()] == [1, 2]
    assert len(copy.days()) == 2


def test_any_entry_of_a_long_file_is_found(copy, add):
    add(*(entry(line=line, raw="x" * (line * 37 % 901)) for line in range(3000)))
    for after in (0, 1, 2, 7, 1499, 2998, 2999, 3000):
        assert [each.number for each in copy.entries(after)] == list(range(after + 1, 3001))


@pytest.mark.parametrize(
    ("suffix", "pack"), [(".gz", gzip.compress), (".1.gz", gzip.compress), (".xz", lzma.compress)]
)
def test_packed_files_are_read_and_gone_ones_passed_over(copy, add, clock, suffix, pack):
    for _ in range(3):
        add(entry(), entry())
        clock.now += DAY
    first, second, _ = (each.path for each in copy.days())
    packed = second.with_name(second.name + suffix)
    packed.write_bytes(pack(second.read_bytes()))
    packed.chmod(0o600)
    assert [each.number for each in copy.entries()] == list(range(1, 7))  # the original counts
    second.unlink()
    assert [each.number for each in copy.entries(2)] == list(range(3, 7))
    first.unlink()
    assert [each.number for each in copy.entries()] == list(range(3, 7))
    assert add(entry())[0].number == 7
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(HemLogDamaged, match=packed.name):
        list(copy.entries())


def test_the_newest_file_may_be_packed(copy, add):
    add(entry())
    (day,) = copy.days()
    packed = day.path.with_name(day.path.name + ".gz")
    packed.write_bytes(gzip.compress(day.path.read_bytes()))
    packed.chmod(0o600)
    day.path.unlink()
    assert copy.last().number == 1
    assert add(entry())[0].number == 2
    assert [each.number for each in copy.entries()] == [1, 2]


def test_a_changed_line_is_named_and_nothing_is_added_behind_a_damaged_one(copy, add):
    add(entry(), entry(), entry())
    (day,) = copy.days()
    lines = day.path.read_bytes().splitlines(keepends=True)
    day.path.write_bytes(b"".join(lines[:2]) + lines[2].replace(b"62310ba5", b"62310ba6") + lines[3])
    with pytest.raises(HemLogDamaged, match=r"2023-11-14\.jsonl, line 3: its chain is another"):
        list(copy.entries())
    day.path.write_bytes(b"".join(lines[:3]) + lines[3].replace(b"62310ba5", b"62310ba6"))
    with pytest.raises(HemLogDamaged, match="its last line"):
        add(entry())


def test_two_writers_do_not_meet_and_the_second_is_told_who_is_there(copy, add):
    assert copy.holder() is None
    with copy.writing():
        with pytest.raises(Busy, match=f"process {os.getpid()} collects"), copy.writing():
            pass
        assert copy.holder() == f"process {os.getpid()}"
    assert copy.holder() is None
    assert copy.tip() == Tip(0, BEGINNING)


def test_the_usual_folder_is_below_the_users_data_whatever_the_device_is_called(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    for name in ("hem", "a_b", "büro-1", "rack.7", "_", "x" * 200):
        assert usual_folder(name) == tmp_path / "hem" / "log" / name
    for name, folder in (("../..", "_.."), ("a/b", "a_b"), ("", ""), (".a", "a"), ("ü" * 150, "ü" * 40)):
        assert usual_folder(name).parent == tmp_path / "hem" / "log"
        assert re.fullmatch(re.escape(folder) + "~[0-9a-f]{16}", usual_folder(name).name)
        usual_folder(name).mkdir(parents=True)  # the system takes it


def test_no_two_devices_share_a_usual_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    names = ["a_b", "a/b", "a b", "a~b", "a", ".a", "..a", "_", "", "/", "A", "x" * 201, "x" * 202]
    names += [usual_folder(each).name for each in names]
    assert len({usual_folder(each) for each in names}) == len(set(names))


def test_what_killed_writers_left_is_swept_by_the_next_at_once(copy, add):
    """The lock says that nobody is writing it."""
    add(entry())
    for name in ("state.json", "looked"):
        (copy.folder / f".{name}.{'0' * 16}.tmp").write_text("x")
    (copy.folder / ".mine.tmp").write_text("x")
    add(entry())
    assert {each.name for each in copy.folder.iterdir() if each.suffix == ".tmp"} == {".mine.tmp"}


def test_a_lock_that_a_full_disk_does_not_take_is_named(copy, add, monkeypatch):
    add(entry())

    def full(*_arguments):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="Disk quota exceeded") as caught:
            add(entry())
    assert caught.value.filename == str(copy.folder / "lock")
    assert len(add(entry())) == 1
