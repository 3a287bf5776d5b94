"""HTTP answers as an agent sends them, and a device as a rule: whole, with their length (RFC 9112), and
nothing else.

``http.client`` reads more than that, and takes longer to load than the agent to answer: it brings
``email`` and ``ssl`` along.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from hem_provider.errors import HemProtocolError
from hem_provider.rest.deadline import AnswerTooLargeError
from hem_provider.rest.sockets import TimedSocket
from hem_provider.rest.wire import MAX_ANSWER, Reply

__all__ = ["WITHOUT_CONTENT", "NotAnAnswerError", "Reader", "read_answer"]

#: Statuses of answers that have no body, whatever their length says.
WITHOUT_CONTENT = (204, 304)
#: Bytes of status line and fields together.
_LONGEST_HEAD = 64 * 1024
_CHUNK = 64 * 1024
#: Characters of a field that may be remembered.
_USUAL = 256
_END = b"\r\n\r\n"
_BARE_END = re.compile(rb"(?<!\r)\n")
_STATUS = re.compile(r"HTTP/1\.1 ([2-5][0-9]{2})(?: [^\r\n\0]*)?")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*")
_LENGTH = re.compile(r"[0-9]{1,12}")


class NotAnAnswerError(ValueError):
    """What came is none, or not all of one."""


#: Reads an answer whose beginning has come already, and is given: the same values as ``read_answer``.
Reader = Callable[[bytes], tuple[Reply, bool]]


def read_answer(
    connection: TimedSocket,
    where: str,
    *,
    other: Reader | None = None,
    begun: Callable[[], None] = lambda: None,
) -> tuple[Reply, bool]:
    """One whole answer to anything but HEAD, and whether the connection can be used again.

    ``other`` reads what does not begin as an answer of this kind; ``begun`` is called once the head is here.

    ``NotAnAnswerError`` for what ends too early or is no answer of this kind, ``AnswerTooLargeError`` for a
    head without end, ``HemProtocolError`` for a body of more than ``MAX_ANSWER`` bytes, and what the
    connection raises.
    """
    received = bytearray()
    try:
        status, fields, length = _head(connection, received)
    except NotAnAnswerError:
        if other is None:
            raise
        return other(bytes(received))
    begun()
    if length > MAX_ANSWER:
        raise HemProtocolError(f"{where}: the answer is larger than {MAX_ANSWER} bytes")
    while len(received) < length:
        _more(connection, received, length - len(received))
    body = bytes(received[:length])
    alone = len(received) == len(body)  # what comes after it nobody asked for
    return Reply(status, fields, body), alone and fields.get("connection", "").lower() != "close"


def _head(connection: TimedSocket, received: bytearray) -> tuple[int, dict[str, str], int]:
    """Status, fields and the length of the body, of which ``received`` holds the beginning then. Where
    there is none, it holds all that came."""
    while (end := received.find(_END)) < 0:
        if len(received) > _LONGEST_HEAD:
            raise AnswerTooLargeError(f"a head of more than {_LONGEST_HEAD} bytes")
        if _BARE_END.search(received):
            raise NotAnAnswerError("lines that end otherwise than by CR and LF")
        _more(connection, received, _CHUNK)
    status, fields = _parsed(received[:end].decode("latin-1"))
    length = fields.get("content-length", "")
    if not _LENGTH.fullmatch(length) or "transfer-encoding" in fields:
        raise NotAnAnswerError("an answer without its length")
    if status in WITHOUT_CONTENT and int(length):
        raise NotAnAnswerError("a length of what does not come")
    del received[: end + len(_END)]
    return status, fields, int(length)


def _more(connection: TimedSocket, received: bytearray, most: int) -> None:
    data = connection.recv(most)
    if not data:
        raise NotAnAnswerError("the end of the connection in the middle of an answer")
    received += data


def _parsed(text: str) -> tuple[int, dict[str, str]]:
    first, *lines = text.split("\r\n")
    status = _STATUS.fullmatch(first)
    if status is None:
        raise NotAnAnswerError("no status line of HTTP/1.1")
    fields: dict[str, str] = {}
    for line in lines:
        name, value = _usual_field(line) if len(line) <= _USUAL else _field(line)
        if name in fields:
            raise NotAnAnswerError("a field that is twice there")
        fields[name] = value
    return int(status[1]), fields


def _field(line: str) -> tuple[str, str]:
    field = _FIELD.fullmatch(line)
    if field is None:
        raise NotAnAnswerError("a field that is none")
    return field[1].lower(), field[2]


#: A device says the same of most of its answers.
_usual_field = lru_cache(64)(_field)
