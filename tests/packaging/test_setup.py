"""Setting up: which interpreters are accepted, and what people are told."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

WRAPPER = """#!{python}
import sys, sysconfig
{change}
if sys.argv[1:2] == ["-c"]:
    exec(sys.argv[2])
else:
    exec(sys.stdin.read())
"""


def setup(python: str, venv: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(ROOT / ".ci" / "setup"), python, str(venv)]
    env = {**os.environ, **environment}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def interpreter(tmp_path: Path, change: str) -> str:
    """A program that looks like a Python of another kind to whoever asks it."""
    path = tmp_path / "python"
    path.write_text(WRAPPER.format(python=sys.executable, change=change))
    path.chmod(0o755)
    return str(path)


def test_a_python_without_a_shared_library_is_refused_with_what_to_do(tmp_path):
    python = interpreter(tmp_path, "sysconfig.get_config_var = lambda name: 0")
    done = setup(python, tmp_path / "venv")
    assert done.returncode == 1
    assert "has no shared libpython" in done.stderr
    assert "PYTHON=/usr/bin/python3" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_an_old_python_is_refused_with_the_version_needed(tmp_path):
    python = interpreter(tmp_path, "sys.version_info = (3, 10, 4); sys.version = '3.10.4 (main)'")
    done = setup(python, tmp_path / "venv")
    assert done.returncode == 1
    assert "is Python 3.10.4; 3.11 or newer is needed" in done.stderr


def test_no_python_at_all_is_said(tmp_path):
    done = setup(str(tmp_path / "absent"), tmp_path / "venv")
    assert done.returncode == 1
    assert "there is no interpreter" in done.stderr


@pytest.mark.parametrize(
    ("user", "told"), [("1000", "run: sudo apt-get install gcc"), ("0", "apt-get failed")]
)
def test_missing_debian_packages_are_installed_by_root_and_named_to_others(tmp_path, user, told):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, body in {
        "dpkg-query": "exit 1",  # nothing is installed
        "id": f"echo {user}",
        "apt-get": 'echo apt-get "$@" >> ' + str(tmp_path / "asked") + "; exit 7",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    done = setup(sys.executable, tmp_path / "venv", PATH=path)
    assert done.returncode == 1
    assert told in done.stderr
    asked = (tmp_path / "asked").read_text() if (tmp_path / "asked").exists() else ""
    assert asked.startswith("apt-get update") if user == "0" else asked == ""


def test_who_wants_the_demo_alone_does_not_wait_for_what_development_needs(tmp_path):
    def extras(*goals):
        command = ["make", "-n", f"VENV={tmp_path}", *goals]
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return re.findall(r'^sh \.ci/setup "[^"]*" "[^"]*" "(.*)"$', said, re.MULTILINE)

    assert extras("demo") == ["agent,demo,keyring"]
    assert extras("test") == extras("demo", "test") == extras("setup") == ["dev"]
    (tmp_path / ".ready").touch()
    (tmp_path / ".interpreter").touch()
    os.utime(tmp_path / ".ready", (0, 0))  # what there is of it was made for development, and is old
    assert extras("demo") == ["dev"]
