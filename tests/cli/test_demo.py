"""The demo does the main job, says so, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from hem_provider.cli.commands import demo
from hem_provider.cli.steps import Steps

COMMAND = [sys.executable, "-m", "hem_provider.cli.main", "demo"]


def run(environment: dict[str, str]) -> tuple[subprocess.Popen[str], str, str]:
    """The finished process, alone in its session, and what it printed."""
    process = subprocess.Popen(
        COMMAND,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    out, err = process.communicate(timeout=150)
    return process, out, err


def left_running(session: int) -> list[str]:
    """Command lines of processes of this session that still run."""
    alive = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                alive.append(stat.with_name("cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it ended meanwhile
    return alive


def test_the_demo_ticks_every_step_and_counts_calls_and_logins(tmp_path):
    places = {"TMPDIR": "tmp", "HOME": "home", "XDG_CACHE_HOME": "cache", "XDG_RUNTIME_DIR": "run"}
    own = {name: str(tmp_path / folder) for name, folder in places.items()}
    for each in own.values():
        Path(each).mkdir(mode=0o700)
    process, out, err = run({**os.environ, **own, "PYTHONIOENCODING": "utf-8"})
    assert process.returncode == 0, out + err
    steps = re.findall(r"^✔ (.+)  \d+\.\d\d s$", out, re.MULTILINE)
    for promised in ("over HTTPS", "P-256", "P-384", "Ed25519", "-O", "ECDSA-SHA256", "EDDSA", "req -verify",
                     "python-pkcs11"):  # fmt: skip
        assert any(promised in step for step in steps), f"{promised} is not in {steps}"
    table = out[out.index("device calls") :]
    total = re.search(r"^together +\d+\.\d\d s +(\d+) +(\d+)$", table, re.MULTILINE)
    assert total is not None
    assert int(total[1]) >= 2 * int(total[2]) > 0
    assert out.endswith('eval "$(hem emulator start)"\n')
    assert "✘" not in out
    assert {each for each in tmp_path.rglob("*") if not each.is_dir()} == set()
    assert {each.parent for each in tmp_path.rglob("*")} == {tmp_path}
    assert left_running(process.pid) == []


def test_a_step_that_fails_fails_the_demo_and_the_emulator_ends_all_the_same(tmp_path):
    broken = tmp_path / "bin" / "openssl"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho Verification failure\n")
    broken.chmod(0o755)
    path = f"{broken.parent}{os.pathsep}{os.environ['PATH']}"
    folder = tmp_path / "tmp"
    folder.mkdir()
    environment = {**os.environ, "PATH": path, "TMPDIR": str(folder), "PYTHONIOENCODING": "utf-8"}
    process, out, err = run(environment)
    assert process.returncode == 1
    assert re.search(r"^✘ openssl verifies", out, re.MULTILINE)
    assert "Verification failure" in err
    assert left_running(process.pid) == []


def test_a_missing_tool_is_named_with_its_package(tmp_path):
    process, _, err = run({**os.environ, "PATH": str(tmp_path)})
    assert process.returncode == 1
    assert "'pkcs11-tool' is missing" in err
    assert "apt-get install opensc" in err


@pytest.mark.parametrize("absent", ["Crypto", "kyber_py", "pkcs11"])
def test_without_its_extra_the_demo_says_what_to_install(monkeypatch, capsys, absent):
    """An installed wheel has neither emulator nor python-pkcs11 unless its owner wants them."""
    found = demo.find_spec
    monkeypatch.setattr(demo, "find_spec", lambda name: None if name == absent else found(name))
    monkeypatch.setattr(demo, "_run", lambda *_: pytest.fail("it was tried"))
    assert demo.command.main([], standalone_mode=False) == 1
    said = capsys.readouterr().err
    assert f"hem demo: needs the extra 'demo', which is not installed (no package {absent!r}): " in said
    assert said.count("\n") == 1


def test_what_the_demo_prints_can_be_pasted(monkeypatch, capsys):
    for step in ("_sign_files", "_request", "_from_python_pkcs11"):
        monkeypatch.setattr(demo, step, lambda *_: None)
    monkeypatch.setattr(demo, "_public_labels", lambda _: {"demo-p256", "demo-p384", "demo-ed25519"})
    bench = Mock(settings={"HEM_CA_FILE": "/tmp/a folder/ca.pem"}, shown="")
    bench.pkcs11_tool.return_value = ""
    demo._run(bench, Steps(lambda: (0, 0)))
    said = capsys.readouterr().out
    assert "export HEM_CA_FILE='/tmp/a folder/ca.pem'" in said
