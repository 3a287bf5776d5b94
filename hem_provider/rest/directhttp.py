"""HTTP over a connection of ours, without a proxy: what a device is asked by.

A request is written, and an answer of the usual kind read, by a few lines of ours over sockets that keep
the deadline and the TLS context of ``tls``; any other answer is left to ``http.client``. ``requests``, and
what it brings, would take longer to load than all the rest of a short program.
"""

from __future__ import annotations

import re
import socket
import ssl
import weakref
from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

from hem_provider.rest.deadline import Deadline
from hem_provider.rest.plainanswer import NotAnAnswerError, read_answer
from hem_provider.rest.sockets import TimedSocket, open_socket
from hem_provider.rest.wire import Reply, Request

__all__ = ["WHOLE_ANSWER", "WITHOUT_BODY", "DirectHttp"]

#: What is waited for once the head of the answer is here, as ``Deadline.stage`` has it.
WHOLE_ANSWER = "whole answer"
_PORTS = {"http": 80, "https": 443}
#: A request leaves at once, however small it is.
_OPTIONS = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)
#: Methods of requests that are sent without a length where there is no body.
WITHOUT_BODY = ("GET", "HEAD")
#: Bytes of an upload that are read and sent at once.
_BLOCK = 16 * 1024
#: Of a request line, and of a field (RFC 9112 §3.2, RFC 9110 §5.5).
_TARGET = re.compile(r"/[!-~]*")
_VALUE = re.compile(r"[^\r\n\0]*")


class DirectHttp:
    """One host, whose name is ASCII, and at most one connection to it that is kept."""

    #: What an exchange raises beside the errors of this package.
    errors: tuple[type[Exception], ...] = (OSError, NotAnAnswerError)

    def __init__(self, url: str, context: ssl.SSLContext | None) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._prefix = parts.path
        self._field = _host_field(self._host, None if self._port == _PORTS[parts.scheme] else self._port)
        self._context = context
        if context is not None:
            context.set_alpn_protocols(["http/1.1"])
        self._kept: list[TimedSocket] = []
        weakref.finalize(self, _drop, self._kept)

    def exchange(self, request: Request, deadline: Deadline, where: str, *, keep: bool) -> Reply:
        """Send one request and read its whole answer; ``keep``: over a connection that the peer may keep.
        Raises ``errors``, and ``HemProtocolError`` for an answer that is too large."""
        head = self._head(request, keep=keep)
        connection = self._usable() or self._connected(deadline)
        try:
            deadline.connected()
            connection.deadline = deadline
            _send(connection, head, request)
            begun = partial(setattr, deadline, "stage", WHOLE_ANSWER)
            other = partial(_other, connection, where, begun)
            reply, again = read_answer(connection, where, other=other, begun=begun)
        except BaseException:
            connection.close()
            raise
        if again:
            self._kept.append(connection)
        else:
            connection.close()
        return reply

    def _head(self, request: Request, *, keep: bool) -> bytes:
        target = self._prefix + request.path
        if not _TARGET.fullmatch(target):
            raise ValueError(f"path: {target!r}; accepted: visible ASCII characters")
        lines = [f"{request.method} {target} HTTP/1.1", f"Host: {self._field}", "Accept-Encoding: identity"]
        fields = dict(request.headers)
        if not keep:
            fields["Connection"] = "close"
        body = request.body
        if body is not None or request.method not in WITHOUT_BODY:
            fields["Content-Length"] = str(0 if body is None else len(body))  # type: ignore[arg-type]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        head = "\r\n".join([*lines, "", ""])
        ends = len(lines) + 1
        if not head.count("\r") == head.count("\n") == ends or "\0" in head:
            wrong = [name for name, value in fields.items() if not _VALUE.fullmatch(value)]
            raise ValueError(f"{', '.join(wrong)}: a field of several lines")
        return head.encode("latin-1")

    def _usable(self) -> TimedSocket | None:
        """The connection that was kept, unless its peer has closed it, or said what nobody asked for."""
        if not self._kept:
            return None
        kept = self._kept.pop()
        if not kept.has_come():
            return kept
        kept.close()
        return None

    def _connected(self, deadline: Deadline) -> TimedSocket:
        made = open_socket(self._host, self._port, deadline, _OPTIONS)
        try:
            if self._context is not None:
                name = self._host.partition("%")[0].rstrip(".")
                made = self._context.wrap_socket(made, server_hostname=name)  # type: ignore[assignment]  # timed, too
            made.unblock()
        except BaseException:
            made.close()
            raise
        return made

    def close(self) -> None:
        """Drop the connection."""
        _drop(self._kept)


def _drop(kept: list[TimedSocket]) -> None:
    while kept:
        kept.pop().close()


def _send(connection: TimedSocket, head: bytes, request: Request) -> None:
    """Head and body leave in one TLS record: sent one after the other they cost a small peer, and us, a
    round more."""
    body = request.body
    try:
        if body is None or isinstance(body, bytes):
            connection.sendall(head + (body or b""))
            return
        connection.sendall(head)
        while block := body.read(_BLOCK):
            connection.sendall(block)
    except (BrokenPipeError, ConnectionResetError):
        pass  # a peer may answer before it has heard all, and close: what it said is there to be read


def _other(
    connection: TimedSocket, where: str, begun: Callable[[], None], received: bytes
) -> tuple[Reply, bool]:
    from hem_provider.rest.fullanswer import read_full_answer

    return read_full_answer(connection, received, where, begun=begun)


def _host_field(host: str, port: int | None) -> str:
    """What a request calls its peer (RFC 9110 §7.2)."""
    name = host.partition("%")[0]  # without the name of an interface of ours
    name = f"[{name}]" if ":" in name else name
    return name if port is None else f"{name}:{port}"
