"""A running, unlocked agent for a laboratory's device, and an ``sshd`` that its keys log in to."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from benchmarks.commands import Command, run_command
from benchmarks.laboratory import Laboratory
from hem_provider.agent.calls import AgentCalls
from hem_provider.agent.readiness import READY_HANDLE
from tools.servers import free_port, served

__all__ = ["LabAgent", "served_ssh"]

#: Seconds for an agent to end.
_PATIENCE = 30


class LabAgent:
    """``python -m hem_provider.agent`` for the device of ``lab``, as a context manager.

    ``run``: its runtime folder, by default the laboratory's; its path is short, as a socket's has to be.
    """

    def __init__(self, lab: Laboratory, run: Path | None = None) -> None:
        self._lab = lab
        self.run = lab.run if run is None else run
        self.socket = self.run / "hem" / "agent.sock"
        self.ssh_socket = self.socket.with_name("ssh-agent.sock")
        self._log = lab.folder / "agent.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Returns when it listens, unlocked or not. ``OSError`` with its words when it does not."""
        environment = self.environment(self._lab.folder / "agent-cache") | {
            "HEM_PASSPHRASE_FILE": str(self._lab.emulator.passphrase_file)
        }
        reader, writer = os.pipe()
        try:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "hem_provider.agent"],
                    env=environment | {READY_HANDLE: str(writer)},
                    pass_fds=(writer,),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            os.close(writer)
            if not os.read(reader, 1):
                raise OSError(f"the agent does not start: {self._log.read_text()}")
        finally:
            os.close(reader)
        return self

    def stop(self) -> None:
        """End it; harmless when it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(_PATIENCE)

    def __enter__(self) -> Self:
        self.start()
        AgentCalls(self.socket).unlock_by_source(self._lab.name)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def environment(self, cache: Path) -> dict[str, str]:
        """For programs that are to go through it, and to fail where they cannot. No passphrase is in it."""
        own = {"HEM_AGENT": "always", "XDG_RUNTIME_DIR": str(self.run), "SSH_AUTH_SOCK": str(self.ssh_socket)}
        return self._lab.environment(cache) | own

    @property
    def resident(self) -> int:
        """Its resident memory in KiB."""
        if self._process is None:
            raise OSError("the agent does not run")
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") // 1024


@contextlib.contextmanager
def served_ssh(folder: Path, *publics: Path) -> Iterator[Callable[[Path], Command] | None]:
    """An ``sshd`` on a free port of 127.0.0.1, which the keys of ``publics`` may log in to: the command that
    does, by an agent and one of them. ``None`` where there is no ``sshd``."""
    program = shutil.which("sshd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if program is None or shutil.which("ssh") is None:
        yield None
        return
    folder.mkdir(parents=True, exist_ok=True)
    host_key = folder / "host_key"
    run_command(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host_key], os.environ)
    port = free_port()
    settings = [
        f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {host_key}", "PidFile none", "StrictModes no",
        f"AuthorizedKeysFile {' '.join(map(str, publics))}", "UsePAM no", "PermitRootLogin yes",
        "PasswordAuthentication no", "KbdInteractiveAuthentication no",
    ]  # fmt: skip
    (folder / "sshd_config").write_text("\n".join(settings) + "\n")
    known = folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {host_key.with_suffix('.pub').read_text()}")
    command: list[str | Path] = [program, "-D", "-e", "-f", folder / "sshd_config"]
    with _privileged_folder(), served(command, port, environment=os.environ, folder=folder):
        yield lambda public: [
            "ssh", "-F", "none", "-p", str(port), "-l", getpass.getuser(), "-i", public,
            "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", f"UserKnownHostsFile={known}",
            "-o", "GlobalKnownHostsFile=none", "127.0.0.1", "true",
        ]  # fmt: skip


@contextlib.contextmanager
def _privileged_folder() -> Iterator[None]:
    """What ``sshd`` of Debian wants when root starts it."""
    place = Path("/run/sshd")
    made = os.geteuid() == 0 and not place.exists()
    if made:
        place.mkdir(mode=0o755)
    try:
        yield
    finally:
        if made:
            place.rmdir()
