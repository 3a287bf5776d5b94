"""An ssh-agent over a served device, on a socket of its own and in a thread of the test; and a client's calls
of single messages."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hem_provider.agent.ssh.identities import SshKey, ssh_key
from hem_provider.agent.ssh.peers import SshPeer
from hem_provider.agent.ssh.protocol import SshAgent
from hem_provider.agent.ssh.wire import FrameSplitter, frame
from hem_provider.device import Hem
from hem_provider.sshwire import WireError

__all__ = ["AgentServer", "HemSource", "exchange"]


class HemSource:
    """Keys of a device, by a client of it; counts what it is asked for."""

    def __init__(self, hem: Hem) -> None:
        self.hem = hem
        self.listed = 0
        self.signed: list[bytes] = []

    async def keys(self, *, fresh: bool = False) -> Sequence[SshKey]:  # noqa: ARG002
        self.listed += 1
        found = await asyncio.to_thread(
            lambda: [ssh_key(each, self.hem.config.name) for each in self.hem.keys]
        )
        return [each for each in found if each is not None]

    async def sign(self, key: SshKey, data: bytes, algorithm: str) -> bytes:
        self.signed.append(data)
        return await asyncio.to_thread(self.hem.sign, key.kid, data, algorithm)


class AgentServer:
    """Serves while it is entered. ``settings`` are ``SshAgent``'s."""

    def __init__(self, path: Path, hem: Hem, **settings: Any) -> None:
        self.path = path
        self.source = HemSource(hem)
        self._settings = settings
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> AgentServer:
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        self.path.unlink(missing_ok=True)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.agent = SshAgent(self.source, **self._settings)
        server = await asyncio.start_unix_server(self._connection, self.path)
        self._ready.set()
        await self._stop.wait()
        server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer, splitter = SshPeer(), FrameSplitter()
        with contextlib.suppress(WireError, ConnectionError):
            while data := await reader.read(65536):
                for message in splitter.feed(data):
                    writer.write(frame(await self.agent.answer(message, peer)))
                    await writer.drain()
        writer.close()


def exchange(path: Path, *messages: bytes) -> list[bytes]:
    """The answers to messages over one connection; fewer where the agent ends it."""
    answers: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(path))
        splitter = FrameSplitter()
        for message in messages:
            connection.sendall(frame(message))
            while len(answers) < len(messages) and (data := connection.recv(65536)):
                found = list(splitter.feed(data))
                answers += found
                if found:
                    break
    return answers
