"""Connections on a Unix socket in the event loop, with who is at the other end and what it hands over.

asyncio's own streams take no file descriptors, and reading goes on here while a request is served: a client
that goes away is noticed at once.
"""

from __future__ import annotations

import array
import asyncio
import logging
import os
import socket
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

__all__ = ["MOST_HANDLES", "Doorkeeper", "Stream", "peer_of"]

_log = logging.getLogger("hem_provider.agent")

_CHUNK = 64 * 1024
#: Descriptors that one message may bring.
MOST_HANDLES = 4
_CREDENTIALS = struct.Struct("iII")  # struct ucred: pid, uid, gid
#: Seconds between two looks whether the last requests are served.
_LOOK = 0.01
#: Connections at once; the one that has been silent for longest makes room for another.
_MOST_STREAMS, _FEWEST_STREAMS = 400, 8
#: Open files that are kept for everything but connections.
_OTHER_FILES = 32
#: Seconds until a connection is accepted again when there was no room, and those that each gets at least:
#: what it has sent is read by then.
_PAUSE, _GRACE = 0.1, 0.2
#: Connections that are accepted before others get their due.
_AT_ONCE = 64


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """Process id and user id of the other end, as the kernel knows them."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(data)
    return pid, uid


def _most_streams() -> int:
    """For each of the agent's two sockets, where this process may have few open files."""
    import resource  # which POSIX alone has

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return _MOST_STREAMS
    return min(_MOST_STREAMS, max(_FEWEST_STREAMS, (files - _OTHER_FILES) // 2))


class Stream(ABC):
    """One connection. ``received`` gets what comes; ``ended`` is called once, whoever ends it."""

    def __init__(self, connection: socket.socket, pid: int, gone: Callable[[Stream], None]) -> None:
        self.pid = pid
        self.busy = False  #: whether a request is being served
        self._loop = asyncio.get_running_loop()
        self.heard = self._loop.time()  #: when something came last
        self._connection = connection
        self._gone = gone
        self._out = bytearray()
        self._closing = False
        self._open = True
        self._guard = threading.Lock()  # who sends from another thread keeps the descriptor from being closed
        connection.setblocking(False)
        self._loop.add_reader(connection, self._readable)

    @abstractmethod
    def received(self, data: bytes, handles: list[int]) -> None:
        """What has come, with the descriptors that came with it, which are the receiver's to close."""

    @abstractmethod
    def ended(self) -> None:
        """The connection is over."""

    def write(self, data: bytes | bytearray) -> None:
        """Send, as fast as the peer takes it."""
        if not self._open:
            return
        if not self._out:
            try:
                data = data[self._connection.send(data) :]
            except BlockingIOError:
                pass  # the peer takes nothing now
            except OSError:
                self.close()
                return
            if not data:
                return
            self._loop.add_writer(self._connection, self._writable)
        self._out += data

    def send_now(self, data: bytes) -> int:
        """Send what the peer takes at once: how many bytes. Of any thread, while no other one writes."""
        with self._guard:
            if not self._open or self._out:
                return 0
            try:
                return self._connection.send(data)
            except OSError:  # the peer takes nothing now, or is gone, which shows when the rest is sent
                return 0

    @property
    def writing(self) -> bool:
        """Whether the peer has yet to take something."""
        return bool(self._out)

    def drained(self) -> None:
        """The peer has taken everything."""
        if self._closing:
            self.close()

    def finish(self) -> None:
        """Read no more, and close when all is sent."""
        self._closing = True
        if not self._out:
            self.close()
        elif self._open:
            self._loop.remove_reader(self._connection)

    def close(self) -> None:
        """End it now."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._connection)
            self._loop.remove_writer(self._connection)
            with self._guard:
                self._connection.close()
            self._gone(self)
            self.ended()

    def _readable(self) -> None:
        try:
            data, ancillary, flags, _ = self._connection.recvmsg(
                _CHUNK, socket.CMSG_SPACE(MOST_HANDLES * 4), socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        handles = array.array("i")
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                handles.frombytes(content[: len(content) // 4 * 4])
        if not data or flags & socket.MSG_CTRUNC:
            for each in handles:
                os.close(each)
            self.close()
            return
        self.heard = self._loop.time()
        self.received(data, list(handles))

    def _writable(self) -> None:
        try:
            del self._out[: self._connection.send(self._out)]
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if not self._out:
            self._loop.remove_writer(self._connection)
            self.drained()


class Doorkeeper:
    """Accepts connections of this user on a listening socket; ``make`` makes the stream of each."""

    def __init__(
        self, listener: socket.socket, make: Callable[[socket.socket, int, Callable[[Stream], None]], Stream]
    ) -> None:
        self._listener = listener
        self._make = make
        self._streams: set[Stream] = set()
        self._most = _most_streams()
        self._loop = asyncio.get_running_loop()
        self._again: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        self._loop.add_reader(listener, self._acceptable)

    def _acceptable(self) -> None:
        for _ in range(_AT_ONCE):
            if len(self._streams) >= self._most and not self._make_room():
                self._pause()
                return
            try:
                connection, _address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:  # no descriptors left, most likely
                _log.warning("a connection cannot be accepted: %s", error.strerror)
                self._make_room()
                self._pause()
                return
            self._take(connection)

    def _pause(self) -> None:
        """Who comes now waits in the system's queue."""
        self._loop.remove_reader(self._listener)
        self._again = self._loop.call_later(_PAUSE, self._loop.add_reader, self._listener, self._acceptable)

    def _take(self, connection: socket.socket) -> None:
        pid, uid = peer_of(connection)
        if uid != os.geteuid():
            _log.warning("process %d of user id %d was sent away", pid, uid)
            connection.close()
            return
        self._streams.add(self._make(connection, pid, self._streams.discard))

    def _make_room(self) -> bool:
        before = self._loop.time() - _GRACE
        silent = [each for each in self._streams if not each.busy and each.heard < before]
        if silent:
            min(silent, key=lambda each: each.heard).close()
        return bool(silent)

    async def close(self, patience: float) -> None:
        """No more connections; those there end when they are served, after ``patience`` seconds in any case.
        The listening socket stays open."""
        if self._again is not None:
            self._again.cancel()
        self._loop.remove_reader(self._listener)
        ends = self._loop.time() + patience
        while self._loop.time() < ends and any(each.busy for each in self._streams):
            await asyncio.sleep(_LOOK)
        for each in list(self._streams):
            each.finish()
        await asyncio.sleep(0)
        for each in list(self._streams):
            each.close()
