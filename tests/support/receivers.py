"""Small servers that take exported entries, and behave as they are told to."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import threading
import time

__all__ = ["Taker", "numbers_in"]

_NUMBER = re.compile(rb'\[hem@\d+ entry="(\d+)"')
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing resets the connection


def numbers_in(messages) -> list[int]:
    """The numbers of syslog messages, in the order in which they came."""
    return [int(_NUMBER.search(each)[1]) for each in messages]


class Taker:
    """A receiver of syslog over TCP with octet counting (RFC 6587), on a port of 127.0.0.1.

    ``messages``: what came, whole messages only. ``behave(self, connection, count)`` is called after each
    piece that was read (``count``: messages of this connection), and may close, reset or wait;
    ``pause``: seconds before each piece of ``piece`` bytes. ``context``: for TLS.
    """

    def __init__(self, *, behave=None, pause=0.0, piece=65536, context=None, port=0, buffer=None):
        self.messages: list[bytes] = []
        self.connections = 0
        self._behave, self._pause, self._piece, self._context = behave, pause, piece, context
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._listener.bind(("127.0.0.1", port))
        self._listener.listen()
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._ended = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self):
        return f"{'tls' if self._context else 'tcp'}://127.0.0.1:{self.port}"

    @property
    def numbers(self):
        return numbers_in(list(self.messages))

    def wait(self, count, seconds=20.0):
        """Until so many messages came."""
        ends = time.monotonic() + seconds
        while len(self.messages) < count:
            assert time.monotonic() < ends, f"{len(self.messages)} of {count} came"
            time.sleep(0.01)

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                if self._context is not None:
                    connection = self._context.wrap_socket(connection, server_side=True)
                self._open.append(connection)
                self._take(connection)
            except (OSError, ssl.SSLError):
                pass
            finally:
                connection.close()

    def _take(self, connection):
        waiting, count = b"", 0
        while not self._ended:
            time.sleep(self._pause)
            data = connection.recv(self._piece)
            if not data:
                return
            waiting += data
            while found := re.match(rb"(\d+) ", waiting):
                ends = found.end() + int(found[1])
                if len(waiting) < ends:
                    break
                self.messages.append(waiting[found.end() : ends])
                count += 1
                waiting = waiting[ends:]
            if self._behave is not None:
                self._behave(self, connection, count)

    @staticmethod
    def reset(connection):
        """End a connection as a kernel does whose program died with data unread."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        connection.close()

    def close(self):
        self._ended = True
        # A thread that waits in accept(2) or recv(2) is not woken by close(2).
        for each in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._thread.join(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
