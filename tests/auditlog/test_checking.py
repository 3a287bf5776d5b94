"""A copy, or a device's file, that is not as it was written is found out, and the first bad line is named."""

from __future__ import annotations

import gzip
import json
import random
import re
from contextlib import suppress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hem_provider.auditlog.checking import verify_copy
from hem_provider.auditlog.collecting import Collector
from hem_provider.auditlog.copy import LogCopy
from hem_provider.auditlog.entry import BEGINNING, Entry, Head, OwnEvent, chained
from hem_provider.auditlog.progress import known_of
from hem_provider.device.auditlog import record_of, verify_log
from hem_provider.errors import HemLogDamaged
from hem_provider.records import replace

CHANGES = 10_000
SEED = 20_261_127


@pytest.fixture
def collected(device, copy, collect):
    """A copy of three days."""
    device.start(lines=2)
    for _ in range(3):
        device.log(event=0x20, actor="U", data="00112233445566778899aabbccddeeff")
        device.start(lines=1)
        collect()
        device.now += 86400
    return copy


def changes(size, count):
    """Places and other values for the byte there."""
    chance = random.Random(SEED)  # noqa: S311 - for the same changes each time
    for _ in range(count):
        yield chance.randrange(size), chance.randrange(1, 256)


def test_a_whole_copy_is_intact_and_its_end_can_be_noted(collected, device):
    report = verify_copy(collected)
    assert (report.problems, report.missing, report.noticed) == ((), (), {})
    assert report.intact
    assert (report.entries, report.tip) == (collected.last().number, collected.tip())
    assert report.log_keys == (device.key().hex(),)
    assert len(report.days) == 3
    assert report.files == 3
    assert verify_copy(LogCopy(collected.folder), head=report.tip.chain, key=report.log_keys[0]).intact


def test_each_of_ten_thousand_changes_of_a_byte_of_a_copy_is_found(collected):
    days = [each.path for each in collected.days()]
    contents = [each.read_bytes() for each in days]
    for number, (place, value) in enumerate(changes(sum(map(len, contents)), CHANGES)):
        which = 0
        while place >= len(contents[which]):
            place -= len(contents[which])
            which += 1
        content = bytearray(contents[which])
        content[place] ^= value
        with days[which].open("r+b") as file:
            file.write(content)
        report = verify_copy(collected)
        line = contents[which].count(b"\n", 0, place) + 1
        assert report.problems, (number, days[which].name, place, value)
        named = f"{days[which].name}, line {line}:"
        assert named in report.problems[0] or (line == 1 and days[which].name in report.problems[0])
        days[which].write_bytes(contents[which])
    assert verify_copy(collected).intact


def test_each_of_ten_thousand_changes_of_a_byte_of_a_devices_file_is_found(device):
    device.start(lines=6)
    device.log(event=0x20, actor="U", data="00112233445566778899aabbccddeeff")
    (content,) = device.files.values()
    head = content.index(b"\n") - 1  # what the first line says is under no MAC: see the next test
    for place, value in changes(len(content) - head, CHANGES):
        changed = bytearray(content)
        changed[head + place] ^= value
        report = verify_log(bytes(changed), device.key())
        line = content.count(b"\n", 0, head + place) + 1
        assert report.problems, (place, value)
        named = re.match(r"line (\d+): ", report.problems[0])
        assert (int(named[1]) if named else 2) in (line, line + 1)  # without the key record nothing is named


def test_each_change_of_a_devices_file_is_found_by_who_has_collected_it(device, copy, collect):
    file = device.start(lines=4)
    device.start()
    collect()
    content = device.files[file]
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1
        device.files[file] = bytes(changed)
        kept = []
        Collector(known_of(copy), partial(keep, kept)).collect(device, reread=True)
        assert kept[0].own.name == "file-altered", place


def keep(kept, entries):
    """Appends nowhere, so that the next time nothing of it is known."""
    kept += entries
    return []


@pytest.mark.parametrize("number", [0, 1])
def test_a_removed_moved_or_doubled_line_is_named(collected, number):
    path = collected.days()[number].path
    lines = path.read_bytes().splitlines(keepends=True)
    for changed in (
        lines[:3] + lines[4:],
        [*lines[:3], lines[4], lines[3], *lines[5:]],
        [*lines[:3], lines[2], *lines[3:]],
        [*lines[:3], b"\n", *lines[3:]],
        [*lines[:3], b"\0" * 100 + b"\n", *lines[3:]],
        [*lines[:3], b"{}\n", *lines[3:]],
        [*lines[:3], b"x" * 2**20 + b"\n", *lines[3:]],
    ):
        path.write_bytes(b"".join(changed))
        assert verify_copy(collected).problems[0].startswith(f"{path.name}, line 4: ")
    path.write_bytes(b"".join(lines))
    assert verify_copy(collected).intact


def test_an_end_that_was_cut_off_is_found_by_what_was_noted(collected):
    tip = collected.tip()
    path = collected.days()[-1].path
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    assert verify_copy(collected).problems == (
        f"it ends with entry {tip.number - 1}; {tip.number} were written",
    )
    (collected.folder / "state.json").unlink()
    assert verify_copy(collected).intact  # nobody can tell, but who has noted the head elsewhere
    assert verify_copy(collected, head=tip.chain).problems == (
        f"the head that was noted is not in it: {tip.chain}",
    )


def test_a_copy_that_was_written_anew_as_a_whole_is_found_by_a_noted_head_or_key(collected, device, tmp_path):
    report = verify_copy(collected)
    other = LogCopy(tmp_path / "other")
    with other.writing() as writer:
        writer.append(collected.entries())
    assert verify_copy(other).intact
    assert not verify_copy(other, head=report.tip.chain).intact
    assert (
        verify_copy(other, key="00" * 32)
        .problems[0]
        .endswith(f"another log key than the one given: {device.key().hex()}")
    )


def test_days_that_were_moved_away_are_missing_and_what_is_there_is_intact(collected):
    first, second, third = (each.path for each in collected.days())
    packed = second.with_name(f"{second.name}.gz")
    packed.write_bytes(gzip.compress(second.read_bytes()))
    packed.chmod(0o600)
    second.unlink()
    assert verify_copy(collected).intact
    assert verify_copy(collected).missing == ()
    packed.unlink()
    report = verify_copy(collected)
    assert report.intact
    assert re.fullmatch(rf"entries \d+ to \d+, before {third.name}", report.missing[0])
    first.unlink()
    assert re.fullmatch(rf"entries 1 to \d+, before {third.name}", verify_copy(collected).missing[0])


def test_a_packed_file_that_is_damaged_is_named(collected):
    path = collected.days()[0].path
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes())[:-30])
    packed.chmod(0o600)
    path.unlink()
    assert f"{packed.name}: cannot be unpacked" in verify_copy(collected).problems[0]


FORGED = "1|6b0a0002|15|0|U||AAAAAAAAAAAAAAAAAAAAAA"


def anew(copy, folder, *more):
    """The same copy, chained anew as a whole, with lines of somebody else's at its end."""
    *_, last = (each for each in copy.entries() if each.record is not None)
    other = LogCopy(folder)
    with other.writing() as writer:
        writer.append([*copy.entries(), *(replace(last, **each) for each in more)])
    return other


def forged(line, raw=FORGED, *, genuine=True, file="6b0a0001", **values):
    record = record_of(raw.encode(), line, genuine=genuine)
    return {"file": file, "line": line, "raw": raw, "record": record, **values}


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ([forged(5)], "line 5 of 6b0a0001, and none before"),
        ([forged(1, genuine=False, log_key="")], "6b0a0001, no MAC key: nothing could be verified"),
        (
            [forged(1, "# x", genuine=False, log_key=""), forged(2, genuine=False, log_key="")],
            "6b0a0001, no MAC key: nothing could be verified",
        ),
        (
            [forged(1, "# x", genuine=False, log_key=""), forged(2, log_key="")],
            "what vouches for it was another when it was collected",
        ),
        (
            [
                {
                    "file": "6b0a0001", "line": 0, "raw": "", "record": None,
                    "own": OwnEvent("file-collected", "", {"lines": 9, "bytes": 9, "sha256": "0" * 64}),
                }
            ],
            "6b0a0001 is another than was collected",
        ),
    ],
)  # fmt: skip
def test_lines_that_no_mac_key_vouches_for_are_found_though_all_is_chained_anew(
    collected, tmp_path, more, problem
):
    assert verify_copy(anew(collected, tmp_path / "same")).intact
    found = verify_copy(anew(collected, tmp_path / "other", *more)).problems
    assert found[0].endswith(problem), found


def test_a_file_has_no_beginning_where_days_before_were_moved_away_and_only_there(device, copy, collect):
    device.shown = True
    device.start()
    days = []
    for _ in range(3):
        device.log()
        collect()
        days.append(copy.days()[-1].path)
        device.now += 86400
    device.start()
    collect()
    assert verify_copy(copy).intact
    days[1].unlink()
    report = verify_copy(copy)
    assert report.intact, report.problems
    assert len(report.missing) == 2
    key = device.key().hex()
    assert re.search(
        r"nothing vouches for \w+, whose beginning is missing", verify_copy(copy, key=key).problems[0]
    )


def test_only_one_file_can_have_lost_its_beginning_where_days_are_missing(collected, device):
    first, *others = collected.days()
    for each in others:
        each.path.unlink()
    (collected.folder / "state.json").unlink()
    *_, last = (each for each in collected.entries() if each.record is not None)
    body, chain = chained(Head(first.day, 100, "12" * 32).body(), "12" * 32)
    content = body
    for number, file in ((101, "6b0a0001"), (102, "6b0a0002")):
        body, chain = chained(replace(last, number=number, **forged(5, file=file)).body(), chain)
        content += body
        first.path.write_bytes(content)
        report = verify_copy(collected)
        assert report.intact is (number == 101)  # one file can be cut by what is missing
        assert not verify_copy(collected, key=device.key().hex()).intact


#: What may stand in a line that is chained as it should be.
VALUES = st.dictionaries(
    st.sampled_from([*Entry.__match_args__, "own", "text", "data", "genuine", "copy"]),
    st.one_of(
        st.none(),
        st.integers(-2, 3),
        st.text(max_size=5),
        st.booleans(),
        st.sampled_from(
            ["sealed", "file-collected", "file-continues", "gap", BEGINNING, "00|0|0|0|||", "\ud800"]
        ),
        st.dictionaries(st.sampled_from(["lines", "sealed", "chain", "listed", "serial"]), st.none()),
    ),
)
LIKE_AN_ENTRY = st.builds(
    lambda odd, number: {
        "number": number, "collected": 1, "device": "d", "log_key": "ab" * 32, "file": "f", "line": 1,
        "raw": "", "genuine": False, **odd,
    },
    VALUES,
    st.integers(1, 4),
)  # fmt: skip


@given(
    days=st.lists(
        st.tuples(
            st.integers(14, 17),
            st.sampled_from(["", ".gz", ".xz"]),
            st.integers(0, 2),
            st.lists(st.one_of(VALUES, LIKE_AN_ENTRY), max_size=5),
            st.binary(max_size=20),
        ),
        max_size=3,
    ),
    state=st.one_of(st.none(), st.binary(max_size=50), st.just(b'{"form":1}'), st.just(b"[1]")),
)
def test_whatever_is_in_the_files_is_reported_and_raises_nothing_else(tmp_path_factory, days, state):
    folder = tmp_path_factory.mktemp("copy")
    chain = BEGINNING
    for day, packed, after, lines, rest in days:
        content, chain = chained(Head(f"2023-11-{day}", after, chain).body(), chain)
        for values in lines:
            line, chain = chained(json.dumps(values).encode("ascii")[:-1], chain)
            content += line
        path = folder / f"2023-11-{day}.jsonl{packed}"
        path.write_bytes(gzip.compress(content) + rest if packed == ".gz" else content + rest)
        path.chmod(0o600)
    if state is not None:
        (folder / "state.json").write_bytes(state)
        (folder / "state.json").chmod(0o600)
    copy = LogCopy(folder)
    assert verify_copy(copy).entries >= 0
    for read in (lambda: list(copy.entries()), copy.last, copy.tip, lambda: known_of(copy)):
        with suppress(HemLogDamaged):
            read()
