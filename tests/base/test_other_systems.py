"""Where there is no POSIX everything can be imported; what needs it says so when it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hem_provider.files import locks, replacement

ROOT = Path(__file__).parents[2]
#: In a process of its own: everything is imported, so that all that others bring is there; then the system
#: loses what only POSIX has, or only Linux, and everything of ours is imported anew.
PROGRAM = """
import ctypes, importlib, os, pkgutil, signal, socket, sys
import hem_provider

def everything():
    names = [each.name for each in pkgutil.walk_packages(hem_provider.__path__, "hem_provider.")]
    names = [each for each in names if not each.endswith("__main__") and "._moved" not in each]
    for each in names:
        importlib.import_module(each)
    return names

import warnings
warnings.simplefilter("ignore")
before = everything()
for name in [each for each in sys.modules if each.partition(".")[0] == "hem_provider"]:
    del sys.modules[name]

class Hidden:
    def find_spec(self, name, *_):
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

MODULES = "fcntl grp pty pwd resource syslog termios tty".split()
for name in MODULES:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Hidden())
for name in '''O_CLOEXEC O_DIRECTORY O_NOCTTY O_NOFOLLOW O_NONBLOCK O_TMPFILE chown fchmod fork
        getegid geteuid getgid getuid memfd_create mkfifo preadv pwrite register_at_fork
        sched_getaffinity'''.split():
    delattr(os, name)
for name in "SIGHUP SIGKILL SIGPIPE SIGUSR1 SIGUSR2 SIGTSTP SIGCONT SIGWINCH pthread_sigmask".split():
    delattr(signal, name)
for name in "AF_UNIX SO_PEERCRED recv_fds".split():
    delattr(socket, name)
load = ctypes.CDLL.__init__
def refuse(self, name, *given, **named):
    if name is None:
        raise TypeError("there is no such library here")
    load(self, name, *given, **named)
ctypes.CDLL.__init__ = refuse

import hem_provider
again = everything()
assert again == before and len(again) > 300, len(again)
print("done")
"""


def test_everything_is_imported_where_there_is_no_posix():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr[-2000:]


def test_a_lock_that_cannot_be_had_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)
    file = tmp_path / "file"
    file.touch()
    with file.open("r+b") as opened, pytest.raises(OSError, match="has no locks"):
        locks.ByteLock(0).take(opened.fileno())
    with pytest.raises(OSError, match="has no locks"):
        locks.take_lock(file, "the file", 1)
    with pytest.raises(OSError, match="has no locks"), locks.folder_lock(tmp_path, 1):
        pytest.fail("it was had")


def test_a_file_is_replaced_where_all_files_have_names(tmp_path, monkeypatch):
    monkeypatch.setattr(replacement, "TMPFILE", 0)
    (tmp_path / "file").write_bytes(b"old")
    replacement.replace_file(tmp_path / "file", b"new")
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"new"]
