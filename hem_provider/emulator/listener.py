"""A small HTTP/1.1 server for WSGI applications, with full control over framing, status lines and closing.

One thread per connection, bounded in number; every read and write has a deadline, so that slow clients cannot
hang the server. An application that raises ``ConnectionError`` makes the server close the connection without
an answer.
"""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from hem_provider.emulator.connection import SEND_SECONDS, Body, Connection
from hem_provider.emulator.httpparse import BadRequest, Head, parse_head
from hem_provider.emulator.wsgi import Environ, StartResponse

__all__ = ["Listener"]

_LOG = logging.getLogger(__name__)
_CONNECTIONS = 64
_HEAD_SECONDS = 15.0
_BODY_SECONDS = 60.0

WsgiApplication = Callable[[Environ, StartResponse], Iterable[bytes]]
ContextSource = Callable[[], ssl.SSLContext | None]
Admission = Callable[[], float | None]
"""Seconds that a complete request may take, 0 for the server's own limit; ``None`` when nobody answers
now."""


def _reset_on_close(sock: socket.socket) -> None:
    """Make the next close send a TCP reset."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Listener:
    """A listening port that serves one application, over TLS when ``context`` is given."""

    def __init__(
        self,
        application: WsgiApplication,
        *,
        host: str,
        port: int,
        context: ContextSource | None = None,
        admission: Admission | None = None,
    ) -> None:
        self._application = application
        self._admission = admission
        self._context = context
        try:
            self._socket = socket.create_server((host, port), backlog=128)
        except OSError as error:
            raise OSError(error.errno, f"cannot listen on {host} port {port}: {error.strerror}") from error
        self.port: int = self._socket.getsockname()[1]
        self._slots = threading.BoundedSemaphore(_CONNECTIONS)
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._stopping = False
        self._told = False
        self._thread = threading.Thread(target=self._accept, name=f"accept-{self.port}", daemon=True)

    def start(self) -> None:
        """Begin to accept connections, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every connection."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with self._guard:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        if self._thread.is_alive():
            self._thread.join(2)

    def _accept(self) -> None:
        while not self._stopping:
            try:
                sock, peer = self._socket.accept()
            except OSError:
                if self._stopping:
                    return
                time.sleep(0.05)  # out of file descriptors: wait for connections to end
                continue
            self._slots.acquire()
            threading.Thread(target=self._serve, args=(sock, peer), daemon=True).start()

    def _serve(self, sock: socket.socket, peer: tuple[str, int]) -> None:
        connection = Connection(sock)
        drain = False
        with self._guard:
            self._open.add(sock)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            limit = 0.0 if self._admission is None else self._admission()
            if limit is None:
                raise ConnectionResetError("nobody answers now")
            if self._context is not None:
                self._shake_hands(connection)
            while self._exchange(connection, peer, limit):
                pass
            drain = True
        except ConnectionResetError as error:
            _LOG.debug("connection from %s: %s", peer, error)
            _reset_on_close(connection.socket)
        except (OSError, ssl.SSLError) as error:
            _LOG.debug("connection from %s: %s", peer, error)
        except Exception:
            _LOG.exception("connection from %s", peer)
        finally:
            connection.close(drain=drain)
            with self._guard:
                self._open.discard(sock)
            self._slots.release()

    def _shake_hands(self, connection: Connection) -> None:
        context = self._context() if self._context is not None else None
        if context is None:
            raise ConnectionRefusedError("no TLS certificate")
        connection.socket.settimeout(_HEAD_SECONDS)
        connection.socket = context.wrap_socket(
            connection.socket, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True
        )
        try:
            connection.socket.do_handshake()
        except ssl.SSLError as error:
            self._tell_version(context, error)
            raise

    def _tell_version(self, context: ssl.SSLContext, error: ssl.SSLError) -> None:
        """Say once why older clients fail: they themselves see a bare alert."""
        if error.reason != "UNSUPPORTED_PROTOCOL" or self._told:
            return
        self._told = True
        wanted = "TLS 1.3" if context.minimum_version is ssl.TLSVersion.TLSv1_3 else "TLS 1.2 or newer"
        _LOG.warning(
            "port %d: a client offers no %s, which this port speaks, as the device does; it gets the alert "
            "'protocol version'",
            self.port,
            wanted,
        )

    def _exchange(self, connection: Connection, peer: tuple[str, int], limit: float) -> bool:
        """Serve one request; ``True`` when another may follow on this connection."""
        connection.allow(limit or _HEAD_SECONDS)
        try:
            data = connection.head()
            if data is None:
                return False
            head = parse_head(data)
            body = self._body(connection, head)
        except BadRequest as bad:
            line = f"HTTP/1.1 {bad.status} Bad Request\r\n"
            rest = "Content-Type: application/json\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            connection.send((line + rest).encode())
            return False
        if not limit:
            connection.allow(_BODY_SECONDS)
        return self._answer(connection, peer, head, body)

    def _body(self, connection: Connection, head: Head) -> Body:
        length = head.headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or len(length) > 12:
            raise BadRequest(400, "malformed Content-Length")
        encoding = head.headers.get("transfer-encoding", "").lower()
        if encoding not in ("", "chunked"):
            raise BadRequest(400, "unknown transfer encoding")
        expects = head.headers.get("expect", "").lower() == "100-continue"
        return Body(
            connection, 0 if encoding else int(length), chunked=encoding == "chunked", expects=expects
        )

    def _environ(self, peer: tuple[str, int], head: Head, body: Body) -> Environ:
        environ: Environ = {
            "REQUEST_METHOD": head.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": head.path,
            "QUERY_STRING": head.query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(self.port),
            "SERVER_PROTOCOL": f"HTTP/1.{head.version}",
            "REMOTE_ADDR": peer[0],
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http" if self._context is None else "https",
            "wsgi.input": body,
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        for name, value in head.headers.items():
            key = name.upper().replace("-", "_")
            environ[key if name in ("content-length", "content-type") else f"HTTP_{key}"] = value
        return environ

    def _answer(self, connection: Connection, peer: tuple[str, int], head: Head, body: Body) -> bool:
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
            del exc_info
            started[:] = [status, headers]

        parts = self._application(self._environ(peer, head, body), start_response)
        status, headers = started
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
        closing = any(name.lower() == "connection" and value.lower() == "close" for name, value in headers)
        closing = closing or not head.keep_alive or body.left > 0
        connection.socket.settimeout(SEND_SECONDS)
        block = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        if head.method == "HEAD":
            connection.send(block)
            return not closing
        for part in parts:
            connection.send(block + part)
            block = b""
        if block:
            connection.send(block)
        return not closing
