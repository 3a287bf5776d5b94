"""GnuPG as a user has it: a home of its own, an environment, and a person at its pinentry."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["ADA", "Desk", "led_to", "with_passphrase"]

SCRIPTS = Path(sys.executable).parent
ADA = "Ada <ada@example.org>"

#: Stands for the window that asks for a PIN: answers with the file's content, or as one who closes it.
PINENTRY = """#!/usr/bin/env python3
import sys
from pathlib import Path

folder = Path({folder!r})
said = print
said("OK at your service", flush=True)
for line in sys.stdin:
    if line.startswith("SETDESC"):
        with (folder / "asked").open("a") as file:
            file.write(line)
    if line.startswith("GETPIN"):
        pin = (folder / "pin").read_text()
        said("D " + pin if pin else "ERR 83886179 cancelled", flush=True)
        if not pin:
            continue
    if line.startswith("CONFIRM"):
        said("ERR 83886179 cancelled", flush=True)
        continue
    said("OK", flush=True)
    if line.startswith("BYE"):
        break
"""


class Desk:
    """A user: a home of GnuPG, and an environment. ``environment`` leads to a device, if there is one."""

    def __init__(self, environment=None):
        self.place = Path(tempfile.mkdtemp(prefix="hg-", dir="/tmp"))
        self.home = self.place / "h"
        self.home.mkdir(mode=0o700)
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HEM_", "GIT_", "SSH_", "GPG"))
        }
        (self.place / "run").mkdir(mode=0o700)
        self.environment = kept | {
            "HOME": str(self.place),
            "GNUPGHOME": str(self.home),
            "XDG_CACHE_HOME": str(self.place / "cache"),
            "XDG_RUNTIME_DIR": str(self.place / "run"),
            "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
            **(environment or {}),
        }

    def run(self, *command, data=b"", status=0):
        """What it prints. ``status``: ``None`` where any but 0 is meant."""
        done = self.tried(*command, data=data)
        good = done.returncode != 0 if status is None else done.returncode == status
        assert good, (command, done.returncode, done.stdout, done.stderr.decode(errors="replace"))
        return done.stdout

    def tried(self, *command, data=b""):
        return subprocess.run(
            list(map(str, command)), input=data, env=self.environment, cwd=self.place,
            capture_output=True, timeout=120, check=False,
        )  # fmt: skip

    def gpg(self, *arguments, data=b"", status=0):
        return self.run("gpg", "--batch", *arguments, data=data, status=status)

    def records(self, *arguments):
        return [line.split(":") for line in self.gpg("--with-colons", *arguments).decode().splitlines()]

    @property
    def fingerprint(self):
        return next(each[9] for each in self.records("--list-keys") if each[0] == "fpr")

    def configure(self, *lines):
        """More lines of gpg-agent.conf, for an agent that starts anew."""
        with (self.home / "gpg-agent.conf").open("a") as file:
            file.writelines(f"{line}\n" for line in lines)
        self.run("gpgconf", "--kill", "gpg-agent")

    def ask(self, pin):
        """From now on a person answers so; ``""`` closes the window."""
        program = self.place / "pinentry"
        program.write_text(PINENTRY.format(folder=str(self.place)))
        program.chmod(0o700)
        (self.place / "pin").write_text(pin)
        (self.place / "asked").unlink(missing_ok=True)
        if "pinentry-program" not in (self.home / "gpg-agent.conf").read_text():
            self.configure(f"pinentry-program {program}")

    @property
    def asked(self):
        """What that person was told."""
        path = self.place / "asked"
        return path.read_text() if path.exists() else ""

    def close(self):
        with suppress(OSError, subprocess.SubprocessError):
            self.tried("gpgconf", "--kill", "all")
        shutil.rmtree(self.place, ignore_errors=True)


def led_to(device):
    """The environment of one who uses the device, without a passphrase."""
    return {
        "HEM_URL": device.https,
        "HEM_NAME": "k",
        "HEM_CA_FILE": str(device.ca_file),
        "HEM_CLOUD_URL": device.cloud,
        "HEM_CLOUD_CA_FILE": str(device.ca_file),
    }


def with_passphrase(device):
    return led_to(device) | {"HEM_PASSPHRASE_FILE": str(device.passphrase_file)}
