"""A short form of the part ``disks``; and that it tells of writers that are not as they should be."""

from __future__ import annotations

import contextlib
import os
import random

import pytest

from campaign.disks import DISKS, NOT_TRIED, SUBJECTS, may_mount, outcome_of, try_often
from campaign.kills import prepared
from campaign.test_kills import InPlace, Plain

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("disks")
    with prepared(place):
        yield place


@pytest.fixture(scope="module")
def mounts(folder):
    place = folder / "mounting"
    place.mkdir()
    return may_mount(place)


def skip_without(mounts, name):
    if DISKS[name].mounts and not mounts:
        pytest.skip(
            "not run: nothing may be mounted here" if os.geteuid() == 0 else "needs root, to mount a disk"
        )


@pytest.mark.parametrize("name", DISKS)
def test_nothing_is_lost_and_what_is_refused_is_told_with_file_and_reason(name, folder, mounts):
    skip_without(mounts, name)
    tallies = [
        try_often(kind, name, 1, random.Random(7), folder / f"{kind.__name__} {name}")  # noqa: S311
        for kind in SUBJECTS
        if (name, kind) not in NOT_TRIED
    ]
    assert [told for each in tallies for told in each.failures] == []
    assert all(each.acknowledged + each.refused == 4 for each in tallies)
    if DISKS[name].reasons:
        assert sum(each.refused for each in tallies) > 0
    else:
        assert sum(each.refused for each in tallies) == 0


class Silent(Plain):
    """Says that a write is done which was refused."""

    def carry_out(self, write):
        with contextlib.suppress(OSError):
            super().carry_out(write)


class Wordless(Plain):
    """Its error tells neither file nor reason."""

    def carry_out(self, write):
        try:
            super().carry_out(write)
        except OSError:
            raise RuntimeError("it failed") from None


class Tidy(Plain):
    """As it should be: the temporary file goes, and the error names the file."""

    def write_file(self, data):
        try:
            super().write_file(data)
        except OSError as error:
            (self.folder / ".file.0123456789abcdef.tmp").unlink(missing_ok=True)
            error.filename = str(self.path)
            raise


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Tidy, None),
        (InPlace, "Damaged"),
        (Silent, "is gone"),
        (Wordless, "it failed"),
    ],
)
def test_what_a_writer_does_wrong_is_told(kind, words, folder):
    tally = try_often(kind, "quota", 4, random.Random(1), folder / kind.__name__)  # noqa: S311
    if words is None:
        assert tally.failures == []
        assert tally.refused > 0
        return
    assert any(words in each for each in tally.failures), tally.failures
    assert outcome_of([tally], mounts=True).problems()


def test_a_clock_is_wrong_for_a_while_and_then_right(folder):
    import time

    for name, days in (
        ("clock a day back", -1),
        ("clock 400 days back", -400),
        ("clock 400 days ahead", 400),
    ):
        real, disk = time.time(), DISKS[name](folder, random.Random(1))  # noqa: S311
        disk.spoil()
        try:
            assert time.time() - real == pytest.approx(days * 86400, abs=60)
        finally:
            disk.mend()
        assert time.time() - real < 60
