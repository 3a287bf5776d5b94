"""Entries as systemd's journal stores them: written by ``systemd-journal-remote``, read by ``journalctl``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from support.logcopies import append, filled, line_entry

from hem_provider.adapters import journal
from hem_provider.auditlog.facts import facts_of

REMOTE = shutil.which("systemd-journal-remote", path="/usr/lib/systemd:/lib/systemd")
pytestmark = pytest.mark.skipif(
    REMOTE is None or shutil.which("journalctl") is None, reason="needs systemd-journal-remote and journalctl"
)
HEM = [sys.executable, "-m", "hem_provider.cli.main"]


def stored(copy, tmp_path, *arguments):
    """Export to a file, put it into a journal, and read that."""
    exported, file = tmp_path / "export", tmp_path / "hem.journal"
    command = [*HEM, "log", "export", "--from", copy.folder, "--format", "journal", "--to", exported]
    subprocess.run([*map(str, command), *arguments], check=True, capture_output=True, timeout=60)
    done = subprocess.run(
        [REMOTE, f"--output={file}", str(exported)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    read = subprocess.run(
        ["journalctl", f"--file={file}", "--output=json", "--all", "--no-pager"],
        env={**os.environ, "TZ": "UTC"}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return file, [json.loads(line) for line in read.stdout.splitlines()]


def test_every_entry_is_in_the_journal_with_all_its_fields(tmp_path):
    copy = filled(tmp_path / "office")
    _, found = stored(copy, tmp_path)
    by_number = {int(each["HEM_ENTRY"]): each for each in found}
    assert len(found) == len(by_number) == copy.last().number
    for entry in copy.entries():
        facts, told = facts_of(entry, "office"), by_number[entry.number]
        for name, value in journal._fields(facts):
            assert told[name] == journal.printable(value), name
        assert told["__REALTIME_TIMESTAMP"] == str(facts.time * 1_000_000)


#: journald itself, with a ``/run`` of its own, in which nobody else meets it.
LIVE = """
set -e
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir -p /run/log/journal /run/systemd/journald.conf.d
printf '[Journal]\\nReadKMsg=no\\nStorage=volatile\\nAudit=no\\n' > /run/systemd/journald.conf.d/test.conf
"$JOURNALD" > /run/journald.log 2>&1 &
journald=$!
trap 'kill $journald; wait $journald || true' EXIT
for _ in $(seq 200); do [ -S /run/systemd/journal/socket ] && break; sleep 0.05; done
"$@" >&2
journalctl --directory=/run/log/journal --sync >&2 || sleep 2
journalctl --directory=/run/log/journal --output=json --all --no-pager SYSLOG_IDENTIFIER=hem
"""
JOURNALD = shutil.which("systemd-journald", path="/usr/lib/systemd:/lib/systemd")


@pytest.mark.skipif(os.geteuid() != 0 or JOURNALD is None, reason="needs root and systemd-journald")
def test_journald_itself_takes_every_entry_large_ones_as_memory_files(tmp_path):
    copy = filled(tmp_path / "office")
    append(copy.folder, [line_entry(b"y" * 700_000), line_entry(b"\xff\x00 no text")])
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to make mount namespaces")
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", LIVE, "sh", *HEM, "log", "export", "--from", str(copy.folder),
         "--to", "journal", "--wait", "10"],
        env={**os.environ, "JOURNALD": JOURNALD}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "493 entries sent; it has got to 493" in done.stderr
    found = {int(each["HEM_ENTRY"]): each for each in map(json.loads, done.stdout.splitlines())}
    assert len(found) == 493
    assert found[492]["HEM_RAW"] == "y" * 700_000
    assert bytes(found[493]["HEM_RAW"]) == b"\xff\x00 no text"
    for entry in copy.entries():
        facts = facts_of(entry, "office")
        assert found[entry.number]["MESSAGE"] == facts.text
        assert found[entry.number]["PRIORITY"] == str(int(facts.severity))


def test_large_entries_are_stored_too_and_fields_can_be_asked_for(tmp_path):
    copy = filled(tmp_path / "office", 5)
    append(tmp_path / "office", [line_entry(b"x" * 600_000)])
    file, found = stored(copy, tmp_path)
    assert [each["HEM_RAW"] for each in found if each["HEM_ENTRY"] == "6"] == ["x" * 600_000]
    asked = subprocess.run(
        ["journalctl", f"--file={file}", "--output=cat", "HEM_NAME=CRYPTO_EXDSA_SIGN", "HEM_RESULT=ok"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert asked.stdout == "user: signed 0123456789abcdef0123456789abcdef: ok\n" * 5
