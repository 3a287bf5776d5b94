"""``hem log collect`` that is killed at any moment, or whose disk is full: nothing lost, nothing doubled."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time

import pytest
from support.passphrases import PASSPHRASE
from support.rig import ROUNDS

from hem_provider.auditlog.checking import verify_copy
from hem_provider.auditlog.copy import LogCopy

#: ``hem`` with as few rounds of the key derivation as the device of these tests was given.
HEM = f"""
import sys
from hem_provider.rest import credential
credential.PBKDF2_ITERATIONS = {ROUNDS}
from hem_provider.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
SEED = 16
FULL = """
mount -t tmpfs -o size=40k,mode=700 none "$1" || exit 77
shift
"$@" && exit 1
"$@" 2>/dev/null && exit 1
mount -o remount,size=4m "$COPY" && "$@" && cp -a "$COPY"/copy "$OUT"
"""


@pytest.fixture
def world(rig, tmp_path, monkeypatch):
    """The environment of a command that reaches the device."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(f"{PASSPHRASE}\n")
    passphrase.chmod(0o600)
    return {
        **os.environ,
        "HEM_URL": f"emulator:{rig.path}",
        "HEM_PASSPHRASE_FILE": str(passphrase),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }


@pytest.fixture
def contents(rig):
    """The device's closed files as they are, read behind everybody's back."""

    def contents():
        with rig.device.model.transaction():
            files = rig.device.model.log_files
            return {each: files.read(each) for each in files.files()[:-1]}

    return contents


def command(folder):
    return [sys.executable, "-c", HEM, "log", "collect", "--to", str(folder)]


def held(copy):
    """What a copy has of each file, put together again."""
    found = {}
    for each in copy.entries():
        if each.own is None:
            found.setdefault(each.file, []).append(each.text + each.end.encode())
    return {file: b"".join(lines) for file, lines in found.items()}


@pytest.mark.parametrize("kills", [4, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_no_event_is_lost_or_doubled_by_kills(rig, world, contents, tmp_path, kills):
    chance = random.Random(SEED)  # noqa: S311 - for the same moments each time, as far as a machine goes
    copy = LogCopy(tmp_path / "copy")
    began = time.monotonic()
    subprocess.run(command(tmp_path / "measured"), env=world, capture_output=True, check=True, timeout=120)
    whole = time.monotonic() - began
    killed = ends = 0
    while killed < kills:
        for _ in range(chance.randrange(12)):
            rig.reboot()
        with subprocess.Popen(command(copy.folder), env=world, stdout=-3, stderr=-3) as process:
            time.sleep(chance.uniform(0.3, 1.1) * whole)
            process.kill()
        # Whoever has ended before was not killed.
        killed, ends = killed + (process.returncode == -9), ends + (process.returncode != -9)
        assert process.returncode in (-9, 0)
        for each in copy.entries():  # whole lines, each chained to the one before, at any time
            assert each.device or each.own
    done = subprocess.run(command(copy.folder), env=world, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert held(copy) == contents()
    report = verify_copy(copy)
    assert (report.problems, report.missing, report.noticed) == ((), (), {})
    assert report.files == len(contents())
    print(f"{killed} kills, {ends} that had ended before; {report.entries} entries of {report.files} files")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")
def test_what_a_full_disk_leaves_is_whole_and_goes_on_when_there_is_room(rig, world, contents, tmp_path):
    for _ in range(40):
        rig.reboot()
    small, out = tmp_path / "small", tmp_path / "out"
    small.mkdir()
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", FULL, "sh", str(small), *command(small / "copy")],
        env=world | {"COPY": str(small), "OUT": str(out)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.stderr.startswith("unshare: ") or "mount: " in done.stderr:
        pytest.skip("not run: nothing may be mounted here")
    assert done.returncode == 0, done.stderr
    assert ".jsonl: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    copy = LogCopy(out)
    assert held(copy) == contents()
    assert verify_copy(copy).problems == ()
