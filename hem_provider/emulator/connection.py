"""One accepted connection: buffered reads with a deadline, the body as a WSGI input, a clean close."""

from __future__ import annotations

import contextlib
import io
import socket
import time

from hem_provider.emulator.httpparse import MAX_HEAD, BadRequest

__all__ = ["SEND_SECONDS", "Body", "Connection"]

SEND_SECONDS = 60.0
_DRAIN_BYTES = 1 << 18
_DRAIN_SECONDS = 0.5


class Body(io.RawIOBase):
    """The request body as a WSGI input: sends ``100 Continue`` at the first read if the client waits for
    it."""

    def __init__(self, connection: Connection, size: int, *, chunked: bool, expects: bool) -> None:
        super().__init__()
        self._connection = connection
        self.left = size
        self._chunked = chunked
        self._expects = expects
        self.touched = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes, all that a part of the body still has when negative; ``b""`` at its end."""
        if self._expects and not self.touched:
            self._connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.touched = True
        if self._chunked and self.left == 0:
            self.left = self._next_chunk()
        wanted = self.left if size < 0 else min(size, self.left)
        data = self._connection.receive(wanted) if wanted > 0 else b""
        self.left = self.left - len(data) if data else 0
        return data

    def _next_chunk(self) -> int:
        line = self._connection.line()
        if line == b"":  # the end of the previous chunk
            line = self._connection.line()
        try:
            size = int(line.split(b";")[0], 16)
        except ValueError:
            raise ConnectionAbortedError("malformed chunk") from None
        if size == 0:
            self._chunked = False
        return size


class Connection:
    """One accepted socket with its read buffer and deadline."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.buffer = b""
        self.deadline = 0.0

    def allow(self, seconds: float) -> None:
        """Set the deadline of all reads from here on, in seconds from now."""
        self.deadline = time.monotonic() + seconds

    def _fill(self) -> bool:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the client is too slow")
        self.socket.settimeout(left)
        data = self.socket.recv(1 << 16)
        self.buffer += data
        return bool(data)

    def head(self) -> bytes | None:
        """Bytes up to the empty line; ``None`` when the client closed before it sent any. ``BadRequest``
        for too many or too few, ``TimeoutError`` at the deadline."""
        while b"\r\n\r\n" not in self.buffer:
            if len(self.buffer) > MAX_HEAD:
                raise BadRequest(431, "headers too long")
            if not self._fill():
                if self.buffer.strip(b"\r\n"):
                    raise BadRequest(400, "request cut short")
                return None
        head, _, self.buffer = self.buffer.lstrip(b"\r\n").partition(b"\r\n\r\n")
        if len(head) > MAX_HEAD:
            raise BadRequest(431, "headers too long")
        return head

    def receive(self, size: int) -> bytes:
        """Up to ``size`` bytes; ``b""`` when the client closed. ``TimeoutError`` at the deadline."""
        if not self.buffer:
            self._fill()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def line(self) -> bytes:
        """Bytes up to the next CR LF, without it; ``ConnectionAbortedError`` when 1 KiB holds none."""
        while b"\r\n" not in self.buffer:
            if len(self.buffer) > 1024 or not self._fill():
                raise ConnectionAbortedError("malformed chunk")
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def send(self, data: bytes) -> None:
        """Send all of ``data``, with ``SEND_SECONDS`` for each wait."""
        self.socket.settimeout(SEND_SECONDS)
        self.socket.sendall(data)

    def close(self, *, drain: bool = False) -> None:
        """Close; ``drain`` reads away what the client still sends, lest a reset overtakes the answer."""
        with contextlib.suppress(OSError):
            if drain:
                self.socket.shutdown(socket.SHUT_WR)
                self.allow(_DRAIN_SECONDS)
                taken = 0
                while taken < _DRAIN_BYTES and self._fill():
                    taken += len(self.buffer)
                    self.buffer = b""
        self.socket.close()
