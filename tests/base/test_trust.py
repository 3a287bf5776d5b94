"""Who may write our files, and whether the environment can be believed."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from hem_provider import trust
from hem_provider.errors import HemConfigError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _ask_anew():
    ask = trust.privileges_raised
    ask.cache_clear()
    yield
    ask.cache_clear()


def test_an_ordinary_process_has_no_raised_privileges():
    assert not trust.privileges_raised()


@pytest.mark.skipif(os.geteuid() != 0, reason="not run: only root can give a program another group's rights")
def test_a_set_group_id_program_is_recognised(tmp_path):
    program = tmp_path / "python"
    shutil.copy(Path(sys.executable).resolve(), program)
    os.chown(program, 0, 65534)
    script = "from hem_provider import trust; print(trust.privileges_raised(), trust.ignored_variables())"

    def answer(change: str = "pass") -> str:
        done = subprocess.run(
            [program, "-S", "-c", f"import os, sys; sys.path.insert(0, {str(ROOT)!r})\n"
             f"import ctypes, hem_provider.trust\n{change}; {script}"],
            env={"HEM_URL": "x", "PATH": "/", "LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR"))}
            | {"PYTHONHOME": sys.base_prefix},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout.strip() or done.stderr

    hide = "ctypes.CDLL(None).prctl(4, 0)"  # PR_SET_DUMPABLE: /proc/self/auxv is root's
    drop = "os.setgroups([]); os.setgid(65534); os.setuid(65534)"
    assert answer() == answer(hide) == answer("os.setegid(1); os.seteuid(1)") == "False ()"
    assert answer(drop) == "False ()"  # as a server does before it serves
    program.chmod(0o2755)
    raised = "True ('HEM_URL',)"
    assert answer() == answer(hide) == raised


@pytest.mark.parametrize(("value", "raised"), [(0, False), (1, True)])
def test_the_kernels_flag_decides(monkeypatch, value, raised):
    vector = struct.pack("LLLL", 6, 4096, 23, value)
    monkeypatch.setattr(Path, "read_bytes", lambda _self: vector)
    assert trust.privileges_raised() is raised


@pytest.mark.parametrize("hidden", [PermissionError, FileNotFoundError])
def test_a_hidden_flag_is_asked_of_the_c_library(monkeypatch, hidden):
    def refuse(_self):
        raise hidden

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert not trust.privileges_raised()


def test_variables_that_are_ignored_are_named(monkeypatch):
    monkeypatch.setenv("HEM_URL", "https://my.ence.do")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nowhere")
    monkeypatch.setattr(trust, "privileges_raised", lambda: False)
    assert trust.ignored_variables() == ()
    monkeypatch.setattr(trust, "privileges_raised", lambda: True)
    assert {"HEM_URL", "XDG_CONFIG_HOME"} <= set(trust.ignored_variables())
    assert "PATH" not in trust.ignored_variables()


def test_a_file_of_another_user_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("x")
    os.chown(path, 12345, -1) if os.getuid() == 0 else monkeypatch.setattr(
        os, "geteuid", lambda: os.getuid() + 1
    )
    with pytest.raises(HemConfigError, match="belongs to user id"):
        trust.check_not_writable_by_others(path, "the file")


def test_a_link_is_followed_to_what_it_names(tmp_path):
    target = tmp_path / "target"
    target.write_text("x")
    target.chmod(0o666)
    link = tmp_path / "link"
    link.symlink_to(target)
    with pytest.raises(HemConfigError, match=str(target)):
        trust.check_not_writable_by_others(link, "the file")
