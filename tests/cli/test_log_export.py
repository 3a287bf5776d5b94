"""``hem log export``: where it goes, how it goes on, and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
import trustme
from support.logcopies import append, filled, line_entry, own_entry
from support.receivers import Taker

from hem_provider.auditlog.copy import usual_folder
from hem_provider.cli import statuses
from tools.servers import free_port

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
HEM = [sys.executable, "-m", "hem_provider.cli.main"]


@pytest.fixture
def copy(tmp_path):
    return filled(tmp_path / "office", 30)


@pytest.fixture
def export(run, copy):
    """Runs ``hem log export --from COPY …``."""
    return lambda *arguments: run("log", "export", "--from", copy.folder, *arguments)


def test_standard_output_has_all_as_json_lines(export):
    status, out, told = export()
    documents = [json.loads(line) for line in out.splitlines()]
    assert (status, told) == (statuses.DONE, "")
    assert [each["entry"] for each in documents] == list(range(1, 31))
    assert {each["host"] for each in documents} == {"office"}
    assert export()[1] == out  # a pipe has no memory


def test_a_name_makes_standard_output_go_on(export, copy):
    assert len(export("--name", "mine")[1].splitlines()) == 30
    append(copy.folder, [line_entry(b"new")])
    assert len(export("--name", "mine")[1].splitlines()) == 1
    assert len(export("--name", "mine", "--after", 29)[1].splitlines()) == 2


@pytest.mark.parametrize("format", ["jsonl", "syslog", "cef", "ocsf", "journal"])
def test_a_file_in_every_format_goes_on_where_it_ends(format, export, copy, tmp_path):
    file = tmp_path / "events"
    status, out, told = export("--format", format, "--to", file)
    assert (status, out) == (statuses.DONE, b"")
    assert told == f"{file}: 30 entries sent; it has got to 30\n"
    whole = file.read_bytes()
    odd = [line_entry(b"\x01\xff" + b"|" * 9), own_entry("gap", "a gap"), line_entry("ü".encode() * 70_000)]
    append(copy.folder, odd)
    assert export("--format", format, "--to", file)[0] == statuses.DONE
    longer = file.read_bytes()
    assert longer.startswith(whole)
    assert longer != whole
    shutil.rmtree(copy.folder / "cursors")
    assert "0 entries sent; it has got to 33" in export("--format", format, "--to", file)[2]
    for left in (len(whole) + 1, len(longer) - 1, len(longer) - 2):
        file.write_bytes(longer[:left])
        assert export("--format", format, "--to", file)[0] == statuses.DONE
        assert file.read_bytes() == longer


def test_a_file_in_another_format_is_refused(export, tmp_path):
    file = tmp_path / "events"
    assert export("--to", file)[0] == statuses.DONE
    for other in ("syslog", "cef", "ocsf", "journal"):
        status, _, told = export("--to", file, "--format", other)
        assert (status, told) == (1, f"hem: {file}: it has something else in it; nothing is added to it\n")


@pytest.mark.parametrize("target", ["/dev/null", ".", "link", "notes"])
def test_a_target_that_is_refused_leaves_nothing_behind(target, export, copy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").write_text("my own")
    (tmp_path / "link").symlink_to("events")
    told = {
        "/dev/null": "it is no regular file",
        ".": "Is a directory",
        "link": "it is a symbolic link",
        "notes": "it has something else in it",
    }[target]
    status, _, said = export("--to", target)
    assert (status, told in said) == (statuses.FAILED, True), said
    assert not (tmp_path / "events").exists()
    assert list((copy.folder / "cursors").iterdir()) == []


def test_a_folder_in_the_place_of_a_cursor_is_told_as_one(export, copy):
    place = copy.folder / "cursors" / "mine.json"
    place.mkdir(parents=True)
    assert export("--name", "mine")[::2] == (statuses.FAILED, f"hem: {place}: Is a directory\n")


def test_a_file_that_others_may_read_is_told_of(export, tmp_path):
    file = tmp_path / "events"
    file.touch(0o600)
    assert "others may read" not in export("--to", file)[2]
    file.chmod(0o640)
    status, _, told = export("--to", file)
    assert status == statuses.DONE
    assert told.startswith(f"{file}: others may read this file")
    assert file.stat().st_mode & 0o777 == 0o640  # it may be meant


def test_the_copy_of_the_configured_device_is_taken(run, monkeypatch):
    monkeypatch.setenv("HEM_URL", "https://hem.example")
    status, _, told = run("log", "export")
    assert status == statuses.NOT_FOUND
    assert "there is no copy of a log; hem log collect makes one" in told
    filled(usual_folder("hem"), 3)
    status, out, _ = run("log", "export")
    assert (status, [json.loads(line)["host"] for line in out.splitlines()]) == (0, ["hem"] * 3)
    assert json.loads(run("log", "export", "--host", "rack 7")[1].splitlines()[0])["host"] == "rack 7"


def test_a_receiver_gets_syslog_and_the_summary_is_as_its_schema_says(export):
    schema = json.loads((SCHEMAS / "log-export.json").read_text("utf-8"))
    with Taker() as taker:
        status, out, told = export("--to", taker.url, "--json")
        document = json.loads(out)
        jsonschema.validate(document, schema)
        assert (status, told) == (statuses.DONE, "")
        assert document == {
            "to": taker.url,
            "format": "syslog",
            "cursor": f"tcp-127.0.0.1-{taker.port}",
            "sent": 30,
            "again": 0,
            "entry": 30,
        }
        assert taker.numbers == list(range(1, 31))
        export("--to", taker.url, "--format", "cef", "--name", "cef", "--enterprise", 4711)
        assert b"[hem@4711 entry=" in taker.messages[30]
        assert b"\xef\xbb\xbfCEF:0|Encedo|HEM|1|CRYPTO_EXDSA_SIGN|" in taker.messages[30]


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def context_of(authority, *names, client=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    if client:
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
    return context


@pytest.fixture
def pem(authority, tmp_path):
    """Files: the authority, our certificate and its key."""
    ours = authority.issue_cert("collector.example")
    files = {"ca": tmp_path / "ca.pem", "certificate": tmp_path / "our.pem", "key": tmp_path / "our.key"}
    authority.cert_pem.write_to_path(files["ca"])
    files["certificate"].write_bytes(b"".join(each.bytes() for each in ours.cert_chain_pems))
    ours.private_key_pem.write_to_path(files["key"])
    files["key"].chmod(0o600)
    return files


def test_over_tls_the_receiver_is_verified(export, authority, pem):
    with Taker(context=context_of(authority, "127.0.0.1")) as taker:
        assert export("--to", taker.url, "--ca-file", pem["ca"])[0] == statuses.DONE
        assert taker.numbers == list(range(1, 31))
    with Taker(context=context_of(authority, "other.example")) as taker:
        status, _, told = export("--to", taker.url, "--ca-file", pem["ca"])
        assert status == statuses.NOT_REACHED
        assert "certificate is not valid for '127.0.0.1'" in told
        assert taker.messages == []
    with Taker(context=context_of(trustme.CA(), "127.0.0.1")) as taker:
        status, _, told = export("--to", taker.url, "--ca-file", pem["ca"])
        assert (status, "self-signed certificate" in told or "issuer" in told) == (3, True)
        assert taker.messages == []


def test_a_receiver_that_wants_our_certificate_gets_it(export, authority, pem):
    ours = ("--certificate", pem["certificate"], "--private-key", pem["key"])
    with Taker(context=context_of(authority, "127.0.0.1", client=True)) as taker:
        status, _, told = export("--to", taker.url, "--ca-file", pem["ca"])
        assert status == statuses.NOT_REACHED
        assert "the receiver refuses our certificate" in told
        assert taker.messages == []
        assert export("--to", taker.url, "--ca-file", pem["ca"], *ours)[0] == statuses.DONE
        assert taker.numbers == list(range(1, 31))


def test_files_of_certificates_that_are_none_are_told(export, pem, tmp_path):
    garbage = tmp_path / "garbage"
    garbage.write_text("no certificate")
    garbage.chmod(0o600)
    to = ("--to", "tls://127.0.0.1:1")
    assert export(*to, "--ca-file", garbage)[2] == f"hem: {garbage}: no certificates in PEM\n"
    status, _, told = export(*to, "--certificate", pem["certificate"], "--private-key", garbage)
    assert (status, "no certificate and its private key" in told) == (1, True)
    pem["key"].chmod(0o644)
    assert "chmod" in export(*to, "--certificate", pem["certificate"], "--private-key", pem["key"])[2]
    assert "No such file" in export(*to, "--ca-file", tmp_path / "none")[2]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--to", "ftp://a:1"), "'ftp' is no way there"),
        (("--to", "udp://127.0.0.1:9", "--format", "journal"), "--format journal does not go to udp://"),
        (("--to", "journal", "--format", "cef"), "--format cef does not go to journal; there go: journal"),
        (("--to", "tcp://a:1", "--ca-file", "x"), "--ca-file is for --to tls://HOST:PORT"),
        (("--to", "tls://a:1", "--certificate", "x"), "--certificate and --private-key go together"),
        (("--after", "31"), "--after: 31 is beyond the end of the copy, which has 30 entries"),
        (("--name", "a/b"), "--name: 'a/b'; accepted: 1 to 100 letters"),
        (("--every", "0"), "'0' is not a number of seconds from 1 to 86400"),
        (("--format", "xml"), "'xml' is not one of"),
    ],
)
def test_what_cannot_be_is_told(arguments, told, export):
    status, out, line = export(*arguments)
    assert (status, out) == (statuses.USAGE, b"")
    assert told in line


def test_where_the_export_itself_is_printed_nothing_is_told_in_json(export):
    status, out, _ = export("--json")
    assert (status, json.loads(out)["message"]) == (
        statuses.USAGE,
        "--json tells of the export, which itself goes to standard output: give --to FILE",
    )


def test_a_target_that_cannot_be_written_is_told(export, tmp_path):
    (tmp_path / "folder").mkdir()
    assert export("--to", tmp_path / "folder")[2] == f"hem: {tmp_path}/folder: Is a directory\n"
    (tmp_path / "file").write_text("")
    assert "Not a directory" in export("--to", tmp_path / "file" / "below")[2]
    (tmp_path / "file").chmod(0o666)
    status, _, told = export("--to", tmp_path / "file")
    assert (status, "chmod go-w" in told) == (1, True)


def test_a_receiver_that_is_away_ends_the_export_after_the_wait(export):
    began = time.monotonic()
    status, _, told = export("--to", f"tcp://127.0.0.1:{free_port()}", "--wait", 1)
    assert status == statuses.NOT_REACHED
    assert "Connection refused; waiting for it" in told
    assert "the receiver was away for 1 s: Connection refused" in told
    assert time.monotonic() - began >= 1


def test_a_damaged_copy_is_told_and_nothing_behind_the_damage_is_sent(export, copy, tmp_path):
    day = copy.days()[0].path
    lines = day.read_bytes().splitlines(keepends=True)
    lines[15] = lines[15].replace(b'"line":15', b'"line":99')
    day.write_bytes(b"".join(lines))
    status, out, told = export()
    assert (status, len(out.splitlines())) == (1, 0)
    assert "its chain is another" in told


def test_following_goes_on_until_it_is_told_to_stop(copy):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEM_")}
    with Taker() as taker:
        process = subprocess.Popen(
            [*HEM, "log", "export", "--from", copy.folder, "--to", taker.url, "--follow", "--every", "1"],
            env=environment, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            taker.wait(30)
            append(copy.folder, [line_entry(b"later")])
            taker.wait(31)
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == statuses.INTERRUPTED
        finally:
            process.kill()
            process.communicate()
    assert taker.numbers == list(range(1, 32))
