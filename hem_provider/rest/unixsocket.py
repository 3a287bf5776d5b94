"""HTTP over a Unix socket, to a process of this very user: the way to an agent.

Neither ``requests`` nor TLS is loaded for it. A request that could not be sent whole was not processed: no
HTTP server acts on less than it was told to expect.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import weakref
from collections import deque
from pathlib import Path

from hem_provider.errors import HemConfigError, HemProtocolError, HemTimeout, HemUnreachable
from hem_provider.rest.deadline import AnswerTooLargeError, Deadline
from hem_provider.rest.plainanswer import NotAnAnswerError, read_answer
from hem_provider.rest.sockets import TimedSocket
from hem_provider.rest.wire import ConnectionLostError, Limit, Reply, Request

__all__ = ["LONGEST_PATH", "UnixTransport"]

#: Bytes of a Unix socket's path (unix(7)).
LONGEST_PATH = 107
#: Connections kept while nobody uses them.
_MOST_IDLE = 8
#: ``struct ucred`` (unix(7)) and ``struct timeval``.
_PEER, _TIME = struct.Struct("3i"), struct.Struct("ll")


class UnixTransport:
    """One socket. Threads send at the same time, each over a connection of its own; connections are kept
    and used again by whichever thread comes next."""

    def __init__(self, path: Path, *, connect_timeout: float) -> None:
        """``HemConfigError`` for a path that no socket can have."""
        length = len(os.fsencode(path))
        if length > LONGEST_PATH:
            raise HemConfigError(
                f"{path}: the path of a Unix socket, {length} bytes; accepted: at most {LONGEST_PATH}"
            )
        self._path = path
        self._connecting = Limit(connect_timeout, "connect_timeout")
        self._idle: deque[TimedSocket] = deque()
        weakref.finalize(self, _drop, self._idle)

    def send(self, request: Request) -> Reply:
        """Send one request and read its whole answer; see ``Transport.send``. ``HemConfigError`` for a
        socket that is not this user's; ``HemUnreachable`` also where a request could not be sent whole."""
        deadline = Deadline(request.limit, self._connecting, ends=request.ends)
        data = _encoded(request)
        where = f"{self._path}: {request.method} {request.path}"
        connection = self._sent(data, deadline)
        try:
            reply, keep = read_answer(connection, where)
        except TimeoutError:
            connection.close()
            raise HemTimeout(f"{where}: no answer within {deadline.limit}") from None
        except AnswerTooLargeError as error:
            connection.close()
            raise HemProtocolError(f"{where}: the answer does not end: {error}") from None
        except (OSError, NotAnAnswerError) as error:
            connection.close()
            raise ConnectionLostError(
                f"{where}: the connection was lost before the answer ({type(error).__name__})"
            ) from None
        except BaseException:
            connection.close()
            raise
        if keep and len(self._idle) < _MOST_IDLE:
            self._idle.append(connection)
        else:
            connection.close()
        return reply

    def _sent(self, data: bytes, deadline: Deadline) -> TimedSocket:
        """A connection over which ``data`` went. One that was kept may have been closed by its peer."""
        while True:
            kept = self._kept()
            connection = kept or self._connected(deadline)
            connection.deadline = deadline
            deadline.connected()
            try:
                connection.sendall(data)
            except OSError as error:
                connection.close()
                if kept is None or isinstance(error, TimeoutError):
                    raise HemUnreachable(f"{self._path}: takes no request: {_said(error)}") from None
            except BaseException:
                connection.close()
                raise
            else:
                return connection

    def _kept(self) -> TimedSocket | None:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            connection.deadline = None
            connection.setblocking(False)
            try:
                connection.recv(1, socket.MSG_PEEK)  # its end, or what nobody asked for
            except BlockingIOError:
                return connection
            except OSError:
                pass
            connection.close()

    def _connected(self, deadline: Deadline) -> TimedSocket:
        try:
            self._check_place()
            connection = TimedSocket(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError as error:
            raise HemUnreachable(f"{self._path}: {_said(error)}") from None
        try:
            # One that does not block would be refused at once while the listener's queue is full.
            connection.settimeout(None)
            left = deadline.left()
            connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIME.pack(int(left), int(left % 1 * 1e6) or 1)
            )
            connection.connect(str(self._path))
            _, user, _ = _PEER.unpack(
                connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
            )
            if user != os.geteuid():
                told = f"{self._path}: user id {user} listens there, not {os.geteuid()}"
                raise HemConfigError(told, code="E-AGENT-SOCKET")
        except OSError as error:
            connection.close()
            late = isinstance(error, BlockingIOError | TimeoutError)
            reason = f"no {deadline.stage} within {deadline.limit}" if late else _said(error)
            raise HemUnreachable(f"{self._path}: {reason}") from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_place(self) -> None:
        """Folder and socket are this user's and nobody else's to write. ``HemConfigError``, ``OSError``."""
        for place, what in ((self._path.parent, "the folder of the socket"), (self._path, "the socket")):
            found = place.stat()
            if found.st_uid != os.geteuid():
                raise HemConfigError(
                    f"{place}: {what} belongs to user id {found.st_uid}; accepted: {os.geteuid()}",
                    code="E-AGENT-SOCKET",
                )
            if found.st_mode & 0o022:
                raise HemConfigError(
                    f"{place}: others may write {what} (mode {stat.S_IMODE(found.st_mode):04o}); "
                    "run: chmod go-w on it"
                )
        if not stat.S_ISSOCK(found.st_mode):
            raise HemConfigError(f"{self._path}: no socket")

    def close(self) -> None:
        """Drop idle connections; new ones are made when needed."""
        _drop(self._idle)


def _drop(idle: deque[TimedSocket]) -> None:
    while idle:
        idle.pop().close()


def _encoded(request: Request) -> bytes:
    """The whole request, which leaves in one piece."""
    body = request.body or b""
    assert isinstance(body, bytes)  # noqa: S101 - streams never go this way
    lines = [f"{request.method} {request.path} HTTP/1.1", "Host: agent"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("utf-8") + body


def _said(error: OSError) -> str:
    return error.strerror or str(error)
