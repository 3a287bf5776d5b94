"""``hem log``: files, records in words, and whether they are as the device wrote them."""

from __future__ import annotations

import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.owner import valid

from hem_provider.device import logwords
from hem_provider.device.auditlog import AuditLog, Event, LogRecord, Result, verify_log
from hem_provider.emulator.audit import format_record
from hem_provider.emulator.encodings import to_b64url
from hem_provider.rest.encoding import b64

SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = SIGNER.public_key().public_bytes_raw()
MAC_KEY = bytes(32)


@pytest.fixture
def run(run_log):
    """Runs ``hem log …``."""
    return run_log


def log_of(*records):
    """A file of the device's own hand with these records: event, result, actor, data."""
    first = (Event.KEY_INIT, Result.OK, to_b64url(MAC_KEY), to_b64url(SIGNER.sign(MAC_KEY)))
    lines = ["# Encedo nGINE FW v1.2.2"]
    for number, (event, result, actor, data) in enumerate((first, *records)):
        fields = (f"{number:x}", f"{1_700_000_000 + number:08x}", f"{event:x}", f"{result:x}", actor, data)
        lines.append(format_record(MAC_KEY, fields))
    return "".join(f"{line}\r\n" for line in lines).encode()


@pytest.fixture
def written(monkeypatch):
    """Puts files of our own in the place of the device's."""

    def written(**files):
        monkeypatch.setattr(AuditLog, "files", lambda _: [*files, "ffffffff"])
        monkeypatch.setattr(AuditLog, "read", lambda _, file: files[file])
        monkeypatch.setattr(AuditLog, "key", lambda _: PUBLIC)

    return lambda *contents: written(**{f"6553f1{number:02x}": each for number, each in enumerate(contents)})


def test_files_are_listed_with_the_time_they_begin(run, rig):
    rig.reboot()
    status, out, _ = run("list")
    lines = [re.split("  +", line) for line in out.splitlines()]
    assert (status, lines[0]) == (0, ["file", "began (UTC)", "state"])
    assert [line[2] for line in lines[1:]] == [*["closed"] * (len(lines) - 2), "being written"]
    assert rig.count("POST /api/auth/token") == 1
    document = valid(run("list", "--json")[1], "log-list")
    assert [each["id"] for each in document["files"]] == [line[0] for line in lines[1:]]


def test_the_newest_closed_file_is_shown_as_a_person_reads_it(run, rig, hem):
    hem.admin.configure(user="Ada")
    rig.reboot()
    status, out, said = run("show")
    assert (status, said) == (0, "")
    rows = [re.split("  +", line) for line in out.splitlines()]
    assert rows[0][:5] == ["time (UTC)", "who", "what", "key", "result"]
    assert any(row[1:] == ["user", "settings changed", "ok"] for row in rows)
    assert any(row[1:] == ["the device", "started", "ok"] for row in rows)
    assert rig.count("POST /api/auth/token") == 2  # ours, and one of the command


def test_a_file_as_json_is_as_the_schema_says(run, rig, hem):
    hem.admin.configure(user="Ada")
    rig.reboot()
    newest = hem.audit.files()[-2]
    document = valid(run("show", newest.upper(), "--json")[1], "log-show")
    assert (document["file"], document["intact"]) == (newest, True)
    (change,) = [each for each in document["records"] if each["what"] == "settings changed"]
    assert (change["who"], change["event"], change["genuine"]) == ("user", 18, True)


def test_keys_and_phones_are_told_by_label(run, rig, hem, written):
    key = hem.keys.create("ED25519", label="web")
    phone = bytes(range(16))
    written(
        log_of(
            (Event.KEY_GENERATION, Result.OK, "U", to_b64url(bytes.fromhex(key.kid))),
            (Event.CRYPTO_EXDSA_SIGN, Result.FAILED, "U", key.kid.upper()),
            (Event.KEY_DELETE, Result.ERROR, b64(phone), "ab" * 16),
        )
    )
    document = valid(run("show", "--json")[1], "log-show")
    made, signed, deleted = document["records"][1:]
    assert (made["label"], made["kid"], made["what"]) == ("web", key.kid, "key made")
    assert (signed["label"], signed["result"]) == ("web", "failed")
    assert (deleted["label"], deleted["kid"], deleted["result"]) == (None, "ab" * 16, "error")
    assert deleted["who"] == f"phone {phone.hex()}"
    out = run("show")[1]
    assert re.search(r"user +signed +web +failed", out)
    assert re.search(rf"phone {phone.hex()} +key deleted +{'ab' * 16} +error", out)


def test_what_is_remembered_takes_no_second_login(run, rig, hem, written):
    key = hem.keys.create("ED25519", label="web")
    list(hem.keys)
    written(log_of((Event.CRYPTO_EXDSA_SIGN, Result.OK, "U", key.kid)))
    assert "web" in run("show")[1]  # asks the device, and remembers
    before = rig.count("POST /api/auth/token")
    assert "web" in run("show")[1]
    assert rig.count("POST /api/auth/token") == before


def test_every_event_has_words_of_its_own():
    assert set(logwords._WHAT) == set(Event)
    assert len(set(logwords._WHAT.values())) == len(Event)


def test_what_a_real_device_writes_by_mistake_is_told_and_moves_no_cursor():
    """An error code where a name should be, a slice of a header where an id should be (device API §24)."""
    record = LogRecord(2, 1, 1_700_000_000, 99, 7, "-0x7780\x1b[2J", "HTTP/1.1\x07", genuine=True)
    told = logwords.tell(record, {})
    assert told.who == "-0x7780?[2J"
    assert told.what == "event 99 (HTTP/1.1?)"
    assert told.result == "result 7"
    clock = LogRecord(2, 1, 0, Event.RTC_SET, Result.OK, "", "NQsxYg", genuine=True)
    assert logwords.tell(clock, {}).what == "clock set to 2022-03-15 21:55:01"
    odd = LogRecord(2, 1, 0, Event.RTC_SET, Result.OK, "", "x", genuine=True)
    assert logwords.tell(odd, {}).what == "clock set (x)"


@pytest.mark.parametrize(
    "time", [int("f" * 18, 16), -int("f" * 18, 16), -1, 1 << 32, 10**5000], ids=lambda n: f"{n:x}"[:20]
)
def test_a_number_that_no_device_means_is_told_in_words(time):
    told = logwords.tell(LogRecord(2, 1, time, time, time, "", "", genuine=True), {})
    assert told.time.startswith("time ")
    assert max(map(len, (told.time, told.what, told.result))) < 40


def test_files_that_are_whole_are_intact(run, rig):
    rig.reboot()
    status, out, said = run("verify")
    assert status == 0
    assert re.search(r"✔ +[0-9a-f]{8} +\S+ \S+ +\d+ +intact", out)
    document = valid(run("verify", "--json")[1], "log-verify")
    assert document["intact"] is True
    assert said == f"log key {document['log_key']}\n"
    assert run("verify", "--key", document["log_key"])[0] == 0


def test_the_first_bad_line_is_named(run, written):
    good = log_of((Event.STARTUP, Result.OK, "", ""), (Event.REBOOT, Result.OK, "U", ""))
    changed = good.replace(b"|2|0|U||", b"|2|0|M||")
    cut = b"\r\n".join(good.split(b"\r\n")[:2] + good.split(b"\r\n")[3:])
    written(good, changed, cut)
    status, out, said = run("verify")
    assert (status, said) == (1, "hem: the log is not intact.\n")
    lines = out.splitlines()
    assert lines[1].endswith("intact")
    assert lines[2].endswith("line 4: changed after it was written")
    assert lines[3].endswith("line 3: number 2 follows 0")
    document = valid(run("verify", "--json")[1], "log-verify")
    assert [each["intact"] for each in document["files"]] == [True, False, False]
    assert run("verify", "6553f100")[0] == 0
    assert run("verify", "6553f100", "6553f102")[0] == 1
    status, out, said = run("show", "6553f101")
    assert re.search(r"administrator +restart asked for +ok +✘", out)
    assert said == "6553f101: line 4: changed after it was written\n"


def test_a_key_that_was_kept_is_held_against_the_devices(run, rig):
    rig.reboot()
    status, _, said = run("verify", "--key", "00" * 32)
    assert status == 1
    assert "its log key is another than the one given" in said
    for bad in ("00", "zz" * 32):
        status, _, said = run("verify", "--key", bad)
        assert (status, "64 hex digits" in said) == (2, True)


def test_a_file_that_there_is_not_and_one_that_is_written_are_told(run, rig, hem):
    rig.reboot()
    current = hem.audit.files()[-1]
    for action in ("show", "verify"):
        for name in ("nope", "00000000", *(["../../etc"] if action == "show" else [])):
            status, out, said = run(action, name)
            assert (status, out) == (5, "")
            assert said == f"hem: no log file {name!r}; hem log list tells which there are\n"
        status, _, said = run(action, current)
        assert (status, "is being written; hem device reboot closes it" in said) == (1, True)


def test_what_has_a_slash_in_it_is_a_saved_file_to_verify(run, tmp_path):
    place = tmp_path / "saved.log"
    assert run("verify", place)[:2] == (1, "")
    status, out, said = run("verify", tmp_path)
    assert (status, out) == (1, "")
    assert str(tmp_path) in said


def test_a_device_without_a_closed_file_says_how_to_close_one(run, rig, monkeypatch):
    monkeypatch.setattr(AuditLog, "files", lambda _: ["6553f100"])
    for action in ("show", "verify"):
        status, _, said = run(action)
        assert (status, "hem device reboot closes the one being written" in said) == (1, True)


def test_a_log_without_records_is_no_table_of_nothing(run, written):
    written(b"")
    assert run("show")[2] == "6553f100: no records\n"
    assert run("verify")[0] == 1


@pytest.mark.parametrize("action", ["list", "show", "verify"])
def test_a_device_that_is_away_a_wrong_passphrase_and_a_rack_are_told(run, action, monkeypatch, tmp_path):
    (tmp_path / "passphrase").write_text("wrong\n")
    status, out, _ = run(action, "--json")
    assert (status, valid(out, "error")["error"]) == (4, "HemAuthenticationError")
    monkeypatch.setenv("HEM_URL", "https://127.0.0.1:1")
    status, out, _ = run(action, "--json")
    assert (status, valid(out, "error")["error"]) == (3, "HemUnreachable")


def test_the_sample_of_this_test_is_a_genuine_log():
    assert verify_log(log_of((Event.STARTUP, Result.OK, "", "")), PUBLIC).problems == ()
