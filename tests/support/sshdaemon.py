"""A running ``hem agent`` with its socket for SSH, and programs that answer questions."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from support.emulator import ServedEmulator
from support.sshagent import exchange

from hem_provider.agent.calls import AgentCalls
from hem_provider.agent.ssh.numbers import Number

__all__ = ["Daemon", "askpass"]


def askpass(folder: Path, answer: str) -> str:
    program = folder / "askpass"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$SSH_ASKPASS_PROMPT" "$1" >>{folder}/asked\n{answer}\n')
    program.chmod(0o700)
    return str(program)


class Daemon:
    """``hem agent start --foreground`` in a folder of its own, while it is entered: unlocked unless it has no
    ``source``. Questions for a person are asked by the program ``askpass`` there, which tests write."""

    def __init__(
        self, emulator: ServedEmulator, *options: str, source: bool = True, listens: bool = True
    ) -> None:
        self._options, self._source, self._listens = options, source, listens
        self._kept = tempfile.TemporaryDirectory(prefix="hem-ssh-")  # short, for the sockets' sake
        self.folder = Path(self._kept.name)
        self.sockets = self.folder / "hem"
        self.agent = self.sockets / "ssh-agent.sock"
        self.log = self.folder / "log"
        self.calls = AgentCalls(self.sockets / "agent.sock")
        configuration = self.folder / "config.toml"
        configuration.write_text(
            f'[[device]]\nname = "office"\nurl = "{emulator.https}"\nca_file = "{emulator.ca_file}"\n'
            + (f'passphrase_file = "{emulator.passphrase_file}"\n' if source else "")
        )
        configuration.chmod(0o600)
        self._environment = os.environ | {
            "HEM_CONFIG": str(configuration),
            "XDG_RUNTIME_DIR": str(self.folder),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "SSH_ASKPASS": str(self.folder / "askpass"),
        }

    def __enter__(self) -> Daemon:
        command = [sys.executable, "-m", "hem_provider.cli.main", "agent", "start", "--foreground"]
        command += self._options if self._source else [*self._options, "--locked"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        is_ready = self.lists if self._source else self.agent.exists
        self.wait_until(is_ready if self._listens else self.calls.path.exists)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)
        self._kept.cleanup()

    def wait_until(self, happened: Callable[[], bool]) -> None:
        end = time.monotonic() + 30
        while not happened():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)

    def lists(self) -> bool:
        """Whether it answers with a listing."""
        try:
            (answer,) = exchange(self.agent, bytes([Number.REQUEST_IDENTITIES]))
        except (OSError, ValueError):
            return False
        return answer[0] == Number.IDENTITIES_ANSWER

    def answers(self, program: str) -> Path:
        """Write the program that asks; the file gets what it was started with."""
        askpass(self.folder, program)
        return self.folder / "asked"

    @property
    def counts(self) -> tuple[int, int]:
        """Calls of the device and logins so far."""
        (state,) = self.calls.status()["devices"]
        return state["calls"], state["logins"]
