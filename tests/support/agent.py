"""A running agent for tests, in a process of its own, with one served device behind it."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from support.emulator import ServedEmulator

from hem_provider.agent.calls import AgentCalls
from hem_provider.errors import HemUnreachable
from hem_provider.waiting import CLOCK

__all__ = ["RunningAgent", "UnixClient", "sign_body"]


class UnixClient:
    """HTTP requests on a Unix socket, one connection for all."""

    def __init__(self, path: str | Path) -> None:
        self.connection = http.client.HTTPConnection("agent", timeout=60)
        self.connection.sock = socket.socket(socket.AF_UNIX)
        self.connection.sock.settimeout(60)
        self.connection.sock.connect(str(path))

    def __call__(
        self, method: str, path: str, body: Any = None, **fields: str
    ) -> tuple[int, dict[str, str], Any]:
        """Status, headers (lower case) and body; ``scope``, ``within``, ``device`` become header fields."""
        headers = {f"Hem-{name.capitalize()}": value for name, value in fields.items() if name != "fresh"}
        if "fresh" in fields:
            headers["Cache-Control"] = "no-cache"
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        self.connection.request(method, path, data, headers)
        response = self.connection.getresponse()
        content = response.read()
        found = {name.lower(): value for name, value in response.headers.items()}
        is_json = found.get("content-type", "").startswith("application/json") and content
        return response.status, found, json.loads(content) if is_json else content

    def close(self) -> None:
        self.connection.close()


def sign_body(kid: str, message: bytes = b"hello", algorithm: str = "Ed25519") -> dict[str, str]:
    """Of ``/api/crypto/exdsa/sign``."""
    return {"kid": kid, "msg": base64.b64encode(message).decode(), "alg": algorithm}


class RunningAgent:
    """``python -m hem_provider.agent`` for ``served``, under the name ``k``, as a context manager.

    ``settings``: more lines of the device's table. Without ``source`` no passphrase is configured.
    ``within``: a command that runs it and becomes it.
    ``home`` has its files; it is short, since a socket's path may not be long.
    """

    def __init__(
        self,
        served: ServedEmulator,
        *options: str,
        source: bool = True,
        settings: str = "",
        environment: dict[str, str] | None = None,
        url: str | None = None,
        within: tuple[str, ...] = (),
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="hem-agent-")
        self.home = Path(self._folder.name)
        self.served = served
        self.options = list(options)
        self._within = within
        self.run = self.home / "run"
        self.run.mkdir(mode=0o700)
        self.config = self.home / "config.toml"
        lines = [
            "[[device]]",
            'name = "k"',
            f'url = "{url or served.https}"',
            f'ca_file = "{served.ca_file}"',
        ]
        lines += [f'cloud_url = "{served.cloud}"', f'cloud_ca_file = "{served.ca_file}"']
        if source:
            lines.append(f'passphrase_file = "{served.passphrase_file}"')
        self.config.write_text("\n".join([*lines, settings, ""]))
        self.config.chmod(0o600)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HEM_")},
            "HEM_CONFIG": str(self.config),
            "XDG_RUNTIME_DIR": str(self.run),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            **(environment or {}),
        }
        self.socket = self.run / "hem" / "agent.sock"
        self.ssh_socket = self.run / "hem" / "ssh-agent.sock"
        self.log = self.home / "log"
        self.calls = AgentCalls(self.socket)
        self.process: subprocess.Popen[bytes] | None = None
        self._clients: list[UnixClient] = []

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self, *, wait: bool = True) -> Self:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._within, sys.executable, "-m", "hem_provider.agent", *self.options],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if wait:
            self.wait_until(lambda: self.status() is not None)
        return self

    def status(self) -> dict[str, Any] | None:
        try:
            return self.calls.status()
        except HemUnreachable:
            return None

    @property
    def device(self) -> dict[str, Any]:
        """What it says of its device."""
        return self.calls.status()["devices"][0]

    @property
    def resident(self) -> int:
        """Its memory, in KiB."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    @property
    def ticks(self) -> int:
        """Processor time that it has used, in hundredths of a second."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    @property
    def open_files(self) -> int:
        """How many it has."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))  # noqa: PTH208

    @property
    def threads(self) -> int:
        """How many it has."""
        return len(os.listdir(f"/proc/{self.pid}/task"))  # noqa: PTH208

    def unlock(self) -> Self:
        """From the configured source, if it is not yet."""
        self.calls.unlock_by_source("k")
        return self

    def client(self) -> UnixClient:
        made = UnixClient(self.socket)
        self._clients.append(made)
        return made

    def wait_until(self, happened: Any, seconds: float = 30) -> None:
        for _ in CLOCK.looks(seconds, 0.02):
            if happened():
                return
            if self.process is not None and self.process.poll() is not None:
                break
        raise AssertionError(f"it did not happen; the agent says: {self.log.read_text()}")

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def stop(self) -> int:
        assert self.process is not None
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    @contextmanager
    def made(self) -> Iterator[Self]:
        """Not started, and cleaned up after."""
        try:
            yield self
        finally:
            self.__exit__()

    def __enter__(self) -> Self:
        return self.start()

    def close_clients(self) -> None:
        while self._clients:
            self._clients.pop().close()

    def __exit__(self, *_: object) -> None:
        self.close_clients()
        try:
            if self.process is not None:
                self.stop()
        finally:
            self._folder.cleanup()
