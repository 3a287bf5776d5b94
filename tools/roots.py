"""Bare roots of Debian releases, in which this checkout is built, installed and tried.

They lie below ``$HEM_ROOTS`` (``/var/tmp/hem-roots``), made by debootstrap the first time. A root has the
network of this machine, and pip there the certificates, the cache and the settings that pip has here by its
variables; nothing else of this machine is in it. What runs in it is below other work (``nice``) and ends with
it. Logs lie beside the roots, ``NAME.log``.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
MIRROR = "http://deb.debian.org/debian"
#: Where the checkout is in a root; other users than root get there.
PLACE = "/srv/hem-provider"
#: How packages are installed in a root.
INSTALL = "apt-get install -y -qq --no-install-recommends"
_HOURS = 3600.0
_NEEDED = {"debootstrap": "debootstrap", "unshare": "util-linux", "git": "git"}


def check_can_make_roots() -> None:
    """End with what is missing: root, or a program."""
    for program, package in _NEEDED.items():
        if shutil.which(program) is None:
            sys.exit(f"{program} is missing; on Debian: apt-get install {package}")
    if os.geteuid() != 0:
        sys.exit("root is needed, to make bare roots and to change into them: run it by sudo")


class Bare:
    """The root called ``name``, of a Debian ``release``, with what is ``newer`` from experimental."""

    def __init__(self, name: str, release: str, newer: Sequence[str] = ()) -> None:
        self.name, self.release, self.newer = name, release, newer
        self.roots = Path(os.environ.get("HEM_ROOTS", "/var/tmp/hem-roots"))  # noqa: S108
        self.path, self.log = self.roots / name, self.roots / f"{name}.log"

    def make(self) -> None:
        """What there is to have before a checkout can be placed in it; nothing is done again."""
        self._bootstrap()
        self.inside(f"{INSTALL} make git python3")
        if self.newer:
            self.inside(f"{INSTALL} -t experimental {shlex.join(self.newer)}")

    def _bootstrap(self) -> None:
        done = self.roots / f"{self.name}.ok"
        self.roots.mkdir(parents=True, exist_ok=True)
        self.log.write_text("")
        if not done.exists():
            say(f"{self.name}: making a bare root of {self.release}")
            shutil.rmtree(self.path, ignore_errors=True)
            cache = self.roots / "cache"
            cache.mkdir(parents=True, exist_ok=True)
            bare = ["debootstrap", "--variant=minbase", f"--cache-dir={cache}", "--include=ca-certificates"]
            self._outside([*bare, self.release, str(self.path), MIRROR])
            done.touch()
        for file in ("/etc/resolv.conf", "/etc/hosts"):
            shutil.copy(file, f"{self.path}{file}")
        policy = self.path / "usr/sbin/policy-rc.d"  # packages start no server
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        # A mirror that was not renewed for days is good enough for this; what it has is signed all the same.
        kept = self.path / "etc/apt/apt.conf.d/90mirror"
        kept.write_text('Acquire::Check-Valid-Until "false";\n')
        for newer in self.newer and ("experimental",):
            lines = f"deb {MIRROR} {newer} main\n"
            (self.path / f"etc/apt/sources.list.d/{newer}.list").write_text(lines)
        self.inside("apt-get update -qq")

    def renew(self) -> None:
        """Make it anew, with nothing in it but what debootstrap installs: a copy of one that is kept so."""
        pristine = Bare(f"{self.release}-bare", self.release)
        pristine._bootstrap()
        say(f"{self.name}: a fresh bare root of {self.release}")
        shutil.rmtree(self.path, ignore_errors=True)
        self.log.write_text("")
        self._outside(["cp", "-a", str(pristine.path), str(self.path)])

    def place(self) -> str:
        """Put what is committed here into it; the commit."""
        target = self.path / PLACE.lstrip("/")
        if not (target / ".git").exists():
            self._outside(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(target)])
        git = ["git", "-C", str(target)]
        self._outside([*git, "fetch", "-q", str(ROOT), "HEAD"])
        self._outside([*git, "reset", "-q", "--hard", "FETCH_HEAD"])
        self._outside([*git, "clean", "-qfd"])
        asked = [*git, "log", "-1", "--format=%h"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()

    def inside(self, command: str, *, check: bool = True, hours: float = 2) -> str:
        """Run a shell command in the root, with processes and mounts of its own that end with it; what it
        prints. ``RuntimeError`` with the end of that where it fails and ``check``."""
        mounts = (
            'mount --make-rprivate / && mount --rbind "$1" "$1" && cd "$1" && mount -t proc proc proc'
            " && mount --rbind /dev dev && mount --rbind /sys sys && mount -t tmpfs tmpfs run"
            " && mkdir -p run/lock var/cache/pip .before"
            ' && mount --bind "$2" var/cache/pip && shift 2'
            # In a root that was changed by chroot nobody may make namespaces, as tests and servers do.
            ' && pivot_root . .before && cd / && umount -l .before && rmdir .before && exec "$@"'
        )
        cache = self.roots / "pip-cache"
        cache.mkdir(exist_ok=True)
        wanted = ["unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "sh", "-c", mounts, "sh"]
        own = [f"{name}={value}" for name, value in self._environment().items()]
        # A shell's background ignores SIGINT, and what it starts would.
        shell = [
            "/usr/bin/env",
            "-i",
            "--default-signal",
            *own,
            "nice",
            "sh",
            "-c",
            f"cd {PLACE} 2>/dev/null; {command}",
        ]
        return self._outside([*wanted, str(self.path), str(cache), *shell], check=check, hours=hours)

    def _environment(self) -> dict[str, str]:
        passed = {
            name: value
            for name, value in os.environ.items()
            if name.lower().endswith("_proxy") or name in ("PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT")
        }
        certificates = os.environ.get("PIP_CERT")
        if certificates:
            shutil.copy(certificates, self.path / "etc/ssl/pip-certificates.pem")
            passed["PIP_CERT"] = "/etc/ssl/pip-certificates.pem"
        return passed | {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
            "DEBIAN_FRONTEND": "noninteractive", "PIP_CACHE_DIR": "/var/cache/pip",
            "PIP_ROOT_USER_ACTION": "ignore",
        }  # fmt: skip

    def _outside(self, command: list[str], *, check: bool = True, hours: float = 2) -> str:
        shown = (
            f"\n$ {command[-1]}\n" if "pivot_root" in " ".join(command) else f"\n$ {shlex.join(command)}\n"
        )
        with self.log.open("a", encoding="utf-8") as log:
            log.write(shown)
            log.flush()
            start = log.tell()
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                timeout=hours * _HOURS, check=False,
            )  # fmt: skip
        with self.log.open("rb") as log:
            log.seek(start)
            said = log.read().decode("utf-8", "replace")
        if check and done.returncode:
            end = said[-3000:]
            raise RuntimeError(f"{self.name}: {command[-1]!r} ended with {done.returncode}:\n{end}")
        return said


def say(text: str) -> None:
    """A line of progress."""
    print(text, flush=True)
