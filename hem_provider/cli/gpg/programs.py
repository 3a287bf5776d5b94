"""GnuPG's programs, run for one home of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from hem_provider.cli.statuses import NotThere
from hem_provider.errors import HemError
from hem_provider.printable import printable

__all__ = ["Gnupg", "GnupgFailed", "gpgconf", "version"]

#: Seconds after which a program of GnuPG is given up: some wait for a person at a pinentry.
_PATIENCE = 120
#: Seconds after which ``gpgconf`` is, which waits for nobody.
_AT_ONCE = 10
#: What stands for a character that could end a field, as gpg lists it.
_HEX = re.compile(r"\\x([0-9a-f]{2})")
_NEEDED = ("gpg", "gpgconf", "gpg-connect-agent")


class GnupgFailed(HemError):
    """A program of GnuPG ended with an error; the text is what it said."""


def gpgconf(*arguments: str) -> str:
    """What it says; nothing where it is not here, or does not answer."""
    try:
        return subprocess.run(
            ["gpgconf", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_AT_ONCE,
            check=False,
        ).stdout.decode("utf-8", "replace")
    except (OSError, subprocess.SubprocessError):
        return ""


def version() -> str:
    """Of the GnuPG that is here, as ``2.2.40``; ``0`` where it does not tell."""
    found = re.search(r"\d+(?:\.\d+)+", gpgconf("--version").partition("\n")[0])
    return found[0] if found else "0"


class Gnupg:
    """GnuPG with its files in ``home``, or where it has them by itself."""

    def __init__(self, home: Path | None) -> None:
        """``NotThere`` where GnuPG is not installed."""
        lacking = [each for each in _NEEDED if shutil.which(each) is None]
        if lacking:
            raise NotThere(
                f"GnuPG is not there ({', '.join(lacking)} not found); on Debian: apt-get install gnupg"
            )
        self._environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        if home is not None:
            self._environment["GNUPGHOME"] = str(home.absolute())
        self.home = home.absolute() if home is not None else self._own_home()

    def _own_home(self) -> Path:
        return Path(self.run(["gpgconf", "--list-dirs", "homedir"]).strip().replace("%3a", ":"))

    def run(self, command: Sequence[str], data: bytes = b"") -> str:
        """What a program prints. ``GnupgFailed`` with what it says."""
        try:
            done = subprocess.run(
                list(command),
                input=data,
                capture_output=True,
                env=self._environment,
                timeout=_PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise GnupgFailed(f"{command[0]}: no end within {_PATIENCE} s") from None
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().replace("\n", "; ")
            raise GnupgFailed(f"{command[0]}: {printable(said) or f'status {done.returncode}'}")
        return done.stdout.decode("utf-8", "replace")

    def gpg(self, *arguments: str, data: bytes = b"") -> str:
        """Run ``gpg`` without a person."""
        return self.run(["gpg", "--batch", "--no-tty", "--quiet", *arguments], data)

    def stop_agent(self) -> None:
        """End this home's gpg-agent and its smart card daemon; whoever needs them starts them again."""
        self.run(["gpgconf", "--kill", "gpg-agent"])

    def trust(self, fingerprint: str) -> None:
        """Trust a certificate as one's own."""
        self.gpg("--import-ownertrust", data=f"{fingerprint}:6:\n".encode())

    def learn(self, serial: str) -> None:
        """Let gpg-agent note which keys the card with this number has. ``GnupgFailed``."""
        said = self.run(["gpg-connect-agent", f"SCD SERIALNO --demand={serial}", "LEARN --force", "/bye"])
        for line in said.splitlines():
            if line.startswith("ERR "):
                raise GnupgFailed(f"gpg-agent does not see the card {serial}: {printable(line)}")

    def names(self, fingerprint: str) -> list[str]:
        """Of a certificate, as gpg has them, without those that were revoked; empty where it does not have
        it."""
        return [
            _HEX.sub(lambda found: chr(int(found[1], 16)), each[9])
            for each in self.records(fingerprint)
            if each[0] == "uid" and each[1] != "r"
        ]

    def trouble_of(self, program: Path, asked: str = "NOP") -> str | None:
        """Why a smart card daemon does not come up, or not do what it is ``asked``, in its own words;
        ``None`` where it does. What gpg-agent hands on of them is a number."""
        try:
            done = subprocess.run(
                [str(program), "--server"],
                input=f"{asked}\nBYE\n".encode(),
                capture_output=True,
                env=self._environment,
                timeout=_PATIENCE,
                check=False,
            )
        except OSError as error:
            return f"{program}: {error.strerror}"
        except subprocess.TimeoutExpired:
            return f"{program}: no end within {_PATIENCE} s"
        answers = done.stdout.decode("utf-8", "replace").splitlines()
        if done.returncode == 0 and answers:
            return next((each.split(None, 2)[-1] for each in answers if each.startswith("ERR ")), None)
        said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return said or f"{program}: status {done.returncode}"

    def records(self, fingerprint: str) -> list[list[str]]:
        """What gpg lists of a certificate, by line and field; empty where it does not have it."""
        try:
            said = self.gpg("--with-colons", "--list-secret-keys", fingerprint)
        except GnupgFailed:
            try:
                said = self.gpg("--with-colons", "--list-keys", fingerprint)
            except GnupgFailed:
                return []
        return [line.split(":") for line in said.splitlines()]
