"""HTTP answers of every kind (RFC 9112), as ``http.client`` reads them: in chunks, up to the end of the
connection, after interim ones, of older servers. A device's are of a simpler kind as a rule
(``plainanswer``), and this is not loaded for them.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import Any

from hem_provider.errors import HemProtocolError
from hem_provider.rest.plainanswer import WITHOUT_CONTENT, NotAnAnswerError
from hem_provider.rest.sockets import TimedSocket
from hem_provider.rest.wire import MAX_ANSWER, Reply

__all__ = ["read_full_answer"]

_CHUNK = 64 * 1024


def read_full_answer(
    connection: TimedSocket, received: bytes, where: str, *, begun: Callable[[], None]
) -> tuple[Reply, bool]:
    """As ``plainanswer.read_answer``, for an answer of which ``received`` has come already."""
    stream: Any = _Stream(connection, received)
    response = http.client.HTTPResponse(stream)
    try:
        response.begin()
        begun()
        lengths = set(response.headers.get_all("content-length", ()))
        body = _body(response, where)
        several = len(lengths) > 1 and not response.chunked
        if several or (body and response.status in WITHOUT_CONTENT):
            raise NotAnAnswerError("an answer that does not tell its length")
    except http.client.HTTPException as error:
        raise NotAnAnswerError(f"{type(error).__name__}: {error}") from None
    fields = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status, fields, body), not response.will_close and not stream.left


def _body(response: http.client.HTTPResponse, where: str) -> bytes:
    body = bytearray()
    # What one read from the socket gives: waiting for more would go on with a peer that trickles.
    while chunk := response.read1(_CHUNK):
        body += chunk
        if len(body) > MAX_ANSWER:
            raise HemProtocolError(f"{where}: the answer is larger than {MAX_ANSWER} bytes")
    if response.length:
        raise NotAnAnswerError("the end of the connection in the middle of an answer")
    return bytes(body)


class _Stream:
    """What the parser reads from: first what had come, then the connection. The parser closes it when an
    answer is complete, and the connection stays open."""

    def __init__(self, connection: TimedSocket, received: bytes) -> None:
        self._connection = connection
        self._ready = bytearray(received)

    @property
    def left(self) -> bool:
        """Whether something has come that nobody asked for."""
        return bool(self._ready)

    def makefile(self, *_: object) -> _Stream:
        return self

    def readline(self, limit: int) -> bytes:
        looked = 0
        while (end := self._ready.find(b"\n", looked)) < 0 and len(self._ready) < limit:
            looked = len(self._ready)
            if not self._more():
                break
        return self._take(min(limit, len(self._ready) if end < 0 else end + 1))

    def read(self, size: int) -> bytes:
        while len(self._ready) < size and self._more():
            pass
        return self._take(size)

    def read1(self, size: int) -> bytes:
        if size and not self._ready:
            self._more()
        return self._take(size)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _more(self) -> bool:
        data = self._connection.recv(_CHUNK)
        self._ready += data
        return bool(data)

    def _take(self, size: int) -> bytes:
        data = bytes(self._ready[:size])
        del self._ready[:size]
        return data
