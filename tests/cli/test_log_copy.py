"""``hem log collect``, ``verify --copy`` and ``follow`` over an emulated device."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.owner import valid

from hem_provider.auditlog.copy import LogCopy
from hem_provider.auditlog.entry import OwnEvent
from hem_provider.cli import log_collecting
from hem_provider.cli.log_following import since_of
from hem_provider.cli.statuses import UsageFault
from hem_provider.records import replace
from hem_provider.waiting import Clock


@pytest.fixture
def run(run_log):
    """Runs ``hem log …``."""
    return run_log


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "copy"


@pytest.fixture
def pauses(monkeypatch):
    """What happens in each pause, in order; after the last the command is stopped. Gives their seconds."""

    def pauses(*happenings):
        seconds, left = [], list(happenings)

        def sleep(length):
            if length <= 0:
                return
            seconds.append(length)
            if not left:
                raise KeyboardInterrupt
            left.pop(0)()

        clock = Clock(sleep=sleep)
        monkeypatch.setattr(log_collecting, "CLOCK", clock)
        return seconds

    return pauses


def test_a_copy_is_collected_in_the_usual_place_and_verified(run, rig, hem, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    hem.admin.configure(user="Ada")
    rig.reboot()
    status, out, said = run("collect")
    place = tmp_path / "data" / "hem" / "log" / "hem"
    assert status == 0
    assert re.fullmatch(rf"\d+ new lines, of 1 log file, in {place}\n", out)
    document = valid(run("collect", "--json")[1], "log-collect")
    assert (document["added"], document["files"], document["events"], document["folder"]) == (
        0,
        0,
        [],
        str(place),
    )
    status, out, said = run("verify", "--copy")
    assert status == 0
    assert re.search(r"✔ .*\d{4}-\d\d-\d\d .* intact", out)
    assert out.endswith(f"head {document['head']}\n")
    assert said == f"log key {hem.audit.key().hex()}\n"
    report = valid(run("verify", "--copy", "--json")[1], "log-verify")
    assert (report["intact"], report["complete"], report["head"]) == (True, True, document["head"])
    assert run("verify", "--copy", place, "--head", document["head"].upper())[0] == 0
    assert run("verify", f"--copy={place}", "--key", report["log_keys"][0])[0] == 0


def test_a_device_that_was_never_restarted_has_nothing_to_collect_yet(run, rig, folder):
    status, out, err = run("collect", "--to", folder)
    assert (status, out) == (0, f"0 new lines, of 0 log files, in {folder}\n")
    assert "no log file is closed yet; hem device reboot closes the one being written" in err
    rig.reboot()
    status, _, err = run("collect", "--to", folder)
    assert status == 0
    assert "no log file" not in err


def test_a_copy_that_was_changed_ends_with_1_and_names_the_line(run, rig, folder):
    rig.reboot()
    run("collect", "--to", folder)
    head = LogCopy(folder).tip().chain
    (day,) = LogCopy(folder).days()
    lines = day.path.read_bytes().splitlines(keepends=True)
    day.path.write_bytes(b"".join([*lines[:3], lines[3].replace(b"true", b"null"), *lines[4:]]))
    status, out, said = run("verify", "--copy", folder)
    assert status == 1
    assert f"{day.path.name}, line 4: its chain is another" in out
    assert said.endswith(f"{folder}: the copy is not intact.\n")
    report = valid(run("verify", "--copy", folder, "--json")[1], "log-verify")
    assert report["problems"][0].startswith(f"{day.path.name}, line 4: ")
    day.path.write_bytes(b"".join(lines[:-1]))
    status, out, _ = run("verify", "--copy", folder, "--head", head)
    assert (status, "were written" in out) == (1, True)


def test_a_line_that_was_torn_is_no_change_and_the_next_collection_mends_it(run, rig, folder):
    rig.reboot()
    run("collect", "--to", folder)
    (day,) = LogCopy(folder).days()
    content = day.path.read_bytes()
    number = content.count(b"\n") + 1
    day.path.write_bytes(content + b'{"number":83,"coll')
    status, out, said = run("verify", "--copy", folder)
    note = f"{day.path.name}, line {number}: it has no end; the next collection cuts it off"
    assert (status, "intact" in out, note in said) == (0, True, True)
    assert valid(run("verify", "--copy", folder, "--json")[1], "log-verify")["notes"] == [note]
    assert run("collect", "--to", folder)[0] == 0
    assert "note:" not in run("verify", "--copy", folder)[2]
    whole = day.path.read_bytes()
    last = whole.count(b"\n")
    day.path.write_bytes(whole[:-1])  # of a line that was whole
    status, out, _ = run("verify", "--copy", folder)
    assert (status, f"line {last}: it has no end" in out) == (1, True)


def test_a_copy_of_which_nothing_is_left_or_that_has_a_damaged_head_is_told_as_a_whole(run, rig, folder):
    rig.reboot()
    run("collect", "--to", folder)
    (day,) = LogCopy(folder).days()
    written, content = LogCopy(folder).tip().number, day.path.read_bytes()
    lines = content.splitlines(keepends=True)
    later = day.path.with_name("2099-01-01.jsonl")
    later.write_bytes(lines[0].replace(b'"after":0', b'"after":1'))
    later.chmod(0o600)
    day.path.write_bytes(b"".join([*lines[:3], lines[3].replace(b"true", b"null"), *lines[4:]]))
    report = valid(run("verify", "--copy", folder, "--json")[1], "log-verify")
    assert [each for each in report["problems"] if f"{later.name}, line 1: " in each]
    assert [each for each in report["problems"] if f"{day.path.name}, line 4: " in each]
    later.unlink()
    day.path.write_bytes(b"")
    told = f"{written} entries were written, and none is there"
    status, out, _ = run("verify", "--copy", folder)
    assert (status, told in out) == (1, True)
    day.path.unlink()
    status, out, _ = run("verify", "--copy", folder)
    assert (status, told in out) == (1, True)


def test_what_was_typed_and_cannot_be_is_told(run, folder):
    for typed, status, text in (
        (("verify", "--head", "00" * 32), 2, "--head is of a copy"),
        (("verify", "--copy", folder, "6553f100"), 2, "name no files with it"),
        (("verify", "--copy", folder), 5, "no copy of a log; hem log collect makes one"),
        (("follow", "--copy", folder), 5, "no copy of a log; hem log collect makes one"),
        (("collect", "--every", 5, "--once"), 2, "--every and --once do not go together"),
        (("collect", "--every", 5, "--json"), 2, "--every and --json do not go together"),
        (("collect", "--every", 5, "--strict"), 2, "--every and --strict do not go together"),
        (("collect", "--every", 0), 2, "from 1 to 604800"),
        (("follow", "--rules", "x"), 2, "give --exec with them"),
        (("follow", "--shell"), 2, "give --exec with them"),
        (("follow", "--since", "tomorrow"), 2, "accepted: 90s, 15m, 2h, 7d"),
        (("follow", "--exec", "true", "--rules", folder / "none"), 1, "cannot read"),
        (("verify", "--copy", folder, "--head", "zz"), 2, "is not 64 hex digits"),
        (("verify", "./none"), 1, "none: No such file"),
        (("verify", folder.parent / "passphrase", "6553f100"), 2, "but not both"),
    ):
        found, out, said = run(*typed)
        assert found == status, said
        assert text in (out if "--json" in typed else said)


def test_saved_files_are_verified_without_the_device_where_a_key_is_given(
    run, rig, hem, tmp_path, monkeypatch
):
    rig.reboot()
    file = hem.audit.files()[-2]
    path = tmp_path / "saved.log"
    path.write_bytes(hem.audit.read(file))
    key = hem.audit.key().hex()
    status, out, said = run("verify", path)
    assert (status, "intact" in out, said) == (0, True, f"log key {key}\n")
    monkeypatch.setenv("HEM_URL", "https://127.0.0.1:1")
    document = valid(run("verify", path, "--key", key, "--json")[1], "log-verify")
    assert (document["intact"], document["files"][0]["path"]) == (True, str(path))
    path.write_bytes(path.read_bytes().replace(b"|1|0|", b"|2|0|", 1))
    status, out, said = run("verify", path, "--key", key)
    assert (status, said) == (1, "Not all of it is intact.\n")
    assert "changed after it was written" in out


@pytest.mark.parametrize("kind", ["ED25519", "SECP256R1", "SECP521R1", "ED448"])
def test_a_copy_is_sealed_with_a_key_of_the_device(run, rig, hem, folder, tmp_path, kind):
    key = hem.keys.create(kind, label="evidence", usage={"sign"})
    rig.reboot()
    assert run("collect", "--to", folder, "--sign", "evidence")[0] == 0
    copy = LogCopy(folder)
    last = copy.last()
    assert last.own.name == "sealed"
    signed = rig.count("POST /api/crypto/exdsa/sign")
    assert run("collect", "--to", folder, "--sign", key.kid)[0] == 0  # nothing is new
    assert (copy.last(), rig.count("POST /api/crypto/exdsa/sign")) == (last, signed)
    report = valid(run("verify", "--copy", folder, "--json")[1], "log-verify")
    assert report["seals"] == [{"kid": key.kid, "entry": last.number - 1}]
    assert (
        f"sealed up to line {last.number - 1} with the key {key.kid}\n" in run("verify", "--copy", folder)[2]
    )
    changes = {
        "sealed": 1,
        "chain": "0" * 64,
        "kid": "0" * 32,
        "signature": "AAAA",
        "type": "AES256",
        "algorithm": "x",
        "public": "AA==",
    }
    for name, value in changes.items():
        forged = LogCopy(tmp_path / name)
        with forged.writing() as writer:
            for each in copy.entries():
                if each.own is not None and each.own.name == "sealed":
                    event = OwnEvent("sealed", each.own.text, {**each.own.data, name: value})
                    each = replace(each, own=event)
                writer.append([each])
        status, out, _ = run("verify", "--copy", forged.folder)
        assert (status, "the seal" in out or "no entry as they are written" in out) == (1, True), name


def test_what_could_not_be_sealed_is_sealed_the_next_time(run, rig, hem, folder):
    hem.keys.create("ED25519", label="evidence", usage={"sign"})
    rig.reboot()
    rig.fault("POST /api/crypto/exdsa/sign", 503)
    assert run("collect", "--to", folder, "--sign", "evidence")[0] != 0
    assert LogCopy(folder).last().own.name != "sealed"
    assert run("collect", "--to", folder, "--sign", "evidence")[0] == 0
    assert LogCopy(folder).last().own.name == "sealed"
    assert run("verify", "--copy", folder)[0] == 0


def test_a_seal_does_not_stand_anywhere_else(run, rig, hem, folder, tmp_path):
    hem.keys.create("ED25519", label="evidence", usage={"sign"})
    rig.reboot()
    run("collect", "--to", folder, "--sign", "evidence")
    forged = LogCopy(tmp_path / "forged")
    with forged.writing() as writer:
        writer.append([each for each in LogCopy(folder).entries() if each.number != 3])
    status, out, said = run("verify", "--copy", forged.folder)
    assert (status, "the seal is of another place" in out + said) == (1, True)


@pytest.mark.parametrize(
    ("kind", "status", "text"),
    [("CURVE25519", 1, "accepted for seals: EC and Ed keys"), (None, 5, "'evidence'")],
)
def test_a_key_that_cannot_seal_is_refused_before_anything_is_collected(
    run, rig, hem, folder, kind, status, text
):
    if kind is not None:
        hem.keys.create(kind, label="evidence")
    rig.reboot()
    found, out, said = run("collect", "--to", folder, "--sign", "evidence")
    assert (found, out) == (status, "")
    assert text in said
    assert LogCopy(folder).last() is None


def test_a_second_collector_is_told_who_is_there(run, folder):
    with LogCopy(folder).writing():
        status, out, said = run("collect", "--to", folder)
    assert (status, out) == (1, "")
    assert re.fullmatch(rf"hem: {folder}: process \d+ collects into this copy already\n", said)


def test_looking_on_takes_one_login_and_a_call_a_look(run, rig, folder, pauses):
    counts = []

    def count():
        counts.append((rig.count("POST /api/auth/token"), rig.count("GET /api/logger")))

    seconds = pauses(count, count, rig.reboot, count)
    rig.reboot()
    status, _, said = run("collect", "--to", folder, "--every", 60)
    assert (status, seconds[:2]) == (130, [60, 60])
    assert counts[1][0] - counts[0][0] == 0
    assert counts[1][1] - counts[0][1] == 1
    assert (
        counts[2][1] - counts[1][1] == 2 + 2
    )  # two looks, and one new file, which is read; 401 after a restart
    assert said.count("new line") == 2


def test_a_device_that_is_away_for_a_day_is_waited_for_and_told_once(run, rig, folder, pauses, monkeypatch):
    from hem_provider.device.auditlog import AuditLog
    from hem_provider.errors import HemUnreachable

    page, away, tried = AuditLog.page, [True], [0]

    def gone(self, offset):
        tried[0] += 1
        if away[0]:
            raise HemUnreachable("hem: not reached")
        return page(self, offset)

    monkeypatch.setattr(AuditLog, "page", gone)

    def back():
        away[0] = False

    looks = []

    def look():
        looks.append(tried[0])

    seconds = pauses(*[look] * 1440, back, *[lambda: None] * 60)
    rig.reboot()
    status, _, said = run("collect", "--to", folder, "--every", 60)
    assert (status, set(seconds)) == (130, {60})
    assert looks[-1] < 40  # a day: longer each time, an hour at most
    assert said.count("not reached") == 1
    names = [each.own.name for each in LogCopy(folder).entries() if each.own is not None]
    assert names == ["device-away", "device-back", "log-key", "file-collected"]


def test_what_is_odd_ends_with_1_only_if_that_is_asked_for(run, rig, hem, folder, monkeypatch):
    """All was collected: 0, as ever; a timer that is to fail says ``--strict``."""
    from hem_provider.device.auditlog import AuditLog

    rig.reboot()
    assert run("collect", "--to", folder, "--strict")[0] == 0
    for options, status in (((), 0), (("--strict",), 1), (("--strict", "--json"), 1)):
        read = AuditLog.read

        def torn(self, file, read=read):
            return b"".join(read(self, file).splitlines(keepends=True)[:-1]) + b"nonsense\r\n"

        rig.reboot()
        with monkeypatch.context() as patch:
            patch.setattr(AuditLog, "read", torn)
            ended, out, said = run("collect", "--to", folder, *options)
        assert ended == status
        assert "bad-line" in (out if "--json" in options else said)
        if "--json" in options:
            valid(out, "log-collect")
        assert run("collect", "--to", folder, "--strict")[0] == 0  # told once


def test_what_was_noticed_before_a_look_failed_is_told(run, rig, hem, folder, monkeypatch):
    from hem_provider.device.auditlog import AuditLog
    from hem_provider.errors import HemUnreachable

    read, reads = AuditLog.read, []

    def some(self, file):
        reads.append(file)
        if len(reads) > 1:
            raise HemUnreachable("hem: not reached")
        return read(self, file) + b"nonsense\r\n"

    rig.reboot()
    rig.reboot()
    monkeypatch.setattr(AuditLog, "read", some)
    status, _, said = run("collect", "--to", folder, "--strict")
    assert (status, len(reads)) == (3, 2)
    assert said.startswith("bad-line: ")


def test_each_look_that_succeeds_is_noted_though_nothing_is_new(run, rig, folder, monkeypatch):
    from hem_provider.auditlog.looked import last_look
    from hem_provider.device.auditlog import AuditLog
    from hem_provider.errors import HemUnreachable

    copy, now = LogCopy(folder), [2_000_000_000.0]
    monkeypatch.setattr(log_collecting.time, "time", lambda: now[0])
    rig.reboot()
    run("collect", "--to", folder)
    assert last_look(copy) == 2_000_000_000
    entries = copy.tip().number
    now[0] += 3600
    assert run("collect", "--to", folder)[0] == 0
    assert (last_look(copy), copy.tip().number) == (2_000_003_600, entries)

    def away(self, *_, **__):
        raise HemUnreachable("hem: not reached")

    now[0] += 3600
    monkeypatch.setattr(AuditLog, "page", away)
    assert run("collect", "--to", folder)[0] == 3
    assert last_look(copy) == 2_000_003_600


def test_a_full_disk_is_told_once_and_waited_for(run, rig, folder, pauses, monkeypatch):
    import errno
    import os

    write, full = os.write, [False]

    def written(handle, data):
        if full[0] and folder in Path(f"/proc/self/fd/{handle}").readlink().parents:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data)

    monkeypatch.setattr(os, "write", written)
    full[0] = True

    def room():
        full[0] = False

    pauses(*[lambda: None] * 10, room, *[lambda: None] * 60)
    rig.reboot()
    status, _, said = run("collect", "--to", folder, "--every", 60)
    assert status == 130
    assert said.count("No space left on device; it goes on when there is room") == 1
    names = [each.own.name for each in LogCopy(folder).entries() if each.own is not None]
    assert names == ["log-key", "file-collected"]
    assert run("verify", "--copy", folder)[0] == 0


def test_a_login_that_is_refused_is_not_tried_again(run, rig, folder, tmp_path, pauses):
    pauses()
    (tmp_path / "passphrase").write_text("wrong\n")
    assert run("collect", "--to", folder, "--every", 60)[0] == 4
    assert rig.count("POST /api/auth/token") == 1


def test_events_are_followed_as_a_person_reads_them(run, rig, hem):
    hem.admin.configure(user="Ada")
    rig.reboot()
    status, out, said = run("follow", "--since", "1h", "--once")
    assert status == 0
    assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  user            settings changed  ok$", out, re.M)
    assert said == (
        "hem: this firmware shows a log file only when a restart has closed it; what happens until then is "
        "told then\n"
    )
    status, out, _ = run("follow", "--since", "1h", "--once", "--json")
    events = [valid(line, "log-follow") for line in out.splitlines()]
    assert [each["what"] for each in events if each["event"] == 18] == ["settings changed"]


def test_new_events_come_when_a_restart_has_closed_the_file(run, rig, hem, pauses):
    rig.reboot()
    hem.check_in()

    def more():
        hem.admin.configure(user="Ada")
        rig.reboot()

    seconds = pauses(lambda: None, more, lambda: None)
    status, out, said = run("follow", "--every", 7)
    assert (status, set(seconds)) == (130, {7})
    assert len(re.findall("settings changed", out)) == 1
    assert said.count("this firmware shows") == 1


def test_while_a_copy_is_collected_it_is_followed_and_the_device_not_asked(
    run, rig, hem, tmp_path, monkeypatch
):
    hem.admin.configure(user="Ada")
    rig.reboot()
    run("collect")
    place = log_collecting.usual_folder("hem")
    before = len(rig.requests)
    with LogCopy(place).writing():
        status, out, said = run("follow", "--since", "1h", "--once")
    assert (status, said) == (0, f"hem: new events of the copy in {place}; the device is not asked\n")
    assert re.search(r"user +settings changed  ok", out)
    assert len(rig.requests) == before
    assert run("follow", "--copy", place, "--since", "1h", "--once")[1] == out


def test_a_command_is_told_of_what_rules_fit(run, rig, hem, folder, tmp_path):
    hem.admin.configure(user="Ada")
    rig.reboot()
    rules, out = tmp_path / "rules.toml", tmp_path / "out"
    rules.write_text('[[rule]]\nname = "settings"\nevent = "CONFIG_UPDATED"\nwho = "user"\n')
    rules.chmod(0o600)
    status, _, _ = run(
        "follow", "--since", "1h", "--once", "--exec", f"cp /dev/stdin {out}", "--rules", rules
    )
    document = json.loads(out.read_text())
    assert (status, document["rule"], document["event"]["what"]) == (0, "settings", "settings changed")
    valid(json.dumps(document["event"]), "log-follow")
    status, printed, said = run("follow", "--since", "1h", "--once", "--exec", "false")
    assert status == 0
    assert said.endswith(
        f"hem: the command has failed {len(printed.splitlines())} of {len(printed.splitlines())} times\n"
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 910), ("15m", 100), ("2026-01-31", 1769817600), ("2026-01-31T12:00:00Z", 1769860800)],
)
def test_since_is_a_time_or_how_long_ago_it_was(text, seconds):
    assert since_of(text, 1000) == seconds


@pytest.mark.parametrize("text", ["", "-1s", "1w", "2026-13-01", "1e3s", "٣s", "9" * 30 + "d"])
def test_since_is_nothing_else(text):
    with pytest.raises(UsageFault, match="--since"):
        since_of(text, 1000)
