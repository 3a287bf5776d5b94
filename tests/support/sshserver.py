"""A real sshd on a free port of this host, for the user who runs the tests, and the real ssh."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.servers import free_port, served

__all__ = ["USER", "Server", "run_ssh", "running_sshd"]

USER = getpass.getuser()
_PATH = f"{os.environ['PATH']}:/usr/sbin"


class Server:
    """One that runs. ``known``: its host key, as ssh wants it; ``log``: what it has said so far."""

    def __init__(self, folder: Path, port: int, known: Path) -> None:
        self.port, self.known, self._folder = port, known, folder

    @property
    def log(self) -> str:
        return (self._folder / "server.log").read_text()


@contextlib.contextmanager
def running_sshd(folder: Path, authorized: str, *lines: str) -> Iterator[Server]:
    """``authorized``: the lines of ``authorized_keys``. ``lines`` are added to the configuration."""
    program = shutil.which("sshd", path=_PATH)
    if program is None:
        pytest.skip("not run: sshd is not installed (Debian: openssh-server)")
    folder.mkdir(exist_ok=True)
    host, known, port = folder / "host", folder / "known_hosts", free_port()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host], check=True)
    known.write_text(f"[127.0.0.1]:{port} {host.with_suffix('.pub').read_text()}")
    (folder / "authorized_keys").write_text(authorized)
    settings = [
        f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {host}", "PidFile none", "StrictModes no",
        f"AuthorizedKeysFile {folder}/authorized_keys", "UsePAM no", "PermitRootLogin yes",
        "PasswordAuthentication no", "KbdInteractiveAuthentication no", *lines,
    ]  # fmt: skip
    (folder / "sshd_config").write_text("\n".join(settings) + "\n")
    with _privileged_folder():
        command = [program, "-D", "-e", "-f", folder / "sshd_config"]
        with served(command, port, environment={"PATH": _PATH}, folder=folder):
            yield Server(folder, port, known)


def run_ssh(port: int, known: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """``ssh`` with nothing of this machine but the host keys in ``known``, which it insists on."""
    strict = ("StrictHostKeyChecking=yes", f"UserKnownHostsFile={known}", "GlobalKnownHostsFile=none")
    plain = ("BatchMode=yes", "IdentityAgent=none", "IdentityFile=none", "ConnectTimeout=30")
    settings = [word for each in (*strict, *plain, *options) for word in ("-o", each)]
    return subprocess.run(
        ["ssh", "-n", "-F", "none", *settings, "-p", str(port), "ada@127.0.0.1", "greet"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@contextlib.contextmanager
def _privileged_folder() -> Iterator[None]:
    """What sshd wants when root starts it; the system makes it at its start."""
    folder = Path("/run/sshd")
    made = os.geteuid() == 0 and not folder.exists()
    if made:
        folder.mkdir(mode=0o755)
    try:
        yield
    finally:
        if made:
            folder.rmdir()
