"""One connection of the ssh-agent in the agent's event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import deque
from collections.abc import Awaitable, Callable

from hem_provider.agent.ssh.peers import SshPeer
from hem_provider.agent.ssh.wire import LARGEST_FRAME, FrameSplitter, frame
from hem_provider.agent.streams import Stream
from hem_provider.sshwire import WireError

__all__ = ["SshStream"]

_log = logging.getLogger("hem_provider.agent.ssh")

#: Messages that wait for the one before them; clients send one at a time.
_MOST_WAITING = 16


class SshStream(Stream):
    """``answer`` answers a message of the peer. Messages are answered in order; a peer that sends many
    without waiting, or a frame that is too large, or reads no answers is let go."""

    def __init__(
        self,
        connection: socket.socket,
        pid: int,
        gone: Callable[[Stream], None],
        answer: Callable[[bytes, SshPeer], Awaitable[bytes]],
    ) -> None:
        self._answer = answer
        self._peer = SshPeer(pid)
        self._splitter = FrameSplitter()
        self._waiting: deque[bytes] = deque()
        self._task: asyncio.Task[None] | None = None
        super().__init__(connection, pid, gone)

    def received(self, data: bytes, handles: list[int]) -> None:
        for each in handles:  # nothing of this protocol
            os.close(each)
        try:
            self._waiting += self._splitter.feed(data)
        except WireError as error:
            _log.info("%s sends %s", self._peer, error)
            self.close()
            return
        if len(self._waiting) > _MOST_WAITING or len(self._out) > 2 * LARGEST_FRAME:
            _log.info("%s does not wait for answers, or does not read them", self._peer)
            self.close()
        elif self._waiting and self._task is None:
            self.busy = True
            self._task = self._loop.create_task(self._serve())

    def ended(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _serve(self) -> None:
        try:
            while self._waiting:
                self.write(frame(await self._answer(self._waiting.popleft(), self._peer)))
        finally:
            self._task, self.busy = None, False
