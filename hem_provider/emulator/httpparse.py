"""Strict parsing of HTTP/1.1 requests (RFC 9112), free of sockets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

__all__ = ["MAX_HEAD", "BadRequest", "Head", "parse_head"]

MAX_HEAD = 16384
"""Largest request line and headers together, in bytes."""
_MAX_FIELDS = 100
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([!-~]{1,8192}) HTTP/1\.([01])\Z")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*\Z")
_ONCE = ("content-length", "host", "authorization", "transfer-encoding", "origin", "content-type")


class BadRequest(ValueError):
    """The bytes are no acceptable request; ``status`` is what to answer before closing."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status, self.reason = status, reason

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class Head:
    """Request line and headers; header names in lower case, repeated ones joined by commas."""

    method: str
    path: str
    query: str
    version: int
    headers: dict[str, str]

    @property
    def keep_alive(self) -> bool:
        """``True`` when the client would send another request on the connection."""
        options = {option.strip().lower() for option in self.headers.get("connection", "").split(",")}
        return "close" not in options and (self.version == 1 or "keep-alive" in options)


def parse_head(data: bytes) -> Head:
    """Parse everything before the empty line; ``BadRequest`` for what RFC 9112 forbids or a security rule
    refuses."""
    lines = data.split(b"\r\n")
    match = _REQUEST_LINE.match(lines[0])
    if match is None:
        raise BadRequest(400, "malformed request line")
    if len(lines) - 1 > _MAX_FIELDS:
        raise BadRequest(431, "too many header fields")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        field = _FIELD.match(line)
        if field is None:
            raise BadRequest(400, "malformed header field")
        name, value = field[1].decode("ascii").lower(), field[2].decode("latin-1")
        if name in headers and name in _ONCE:
            raise BadRequest(400, f"header {name} sent twice")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if match[3] == b"1" and "host" not in headers:
        raise BadRequest(400, "no Host header")
    path, query = _split_target(match[2])
    return Head(match[1].decode("ascii"), path, query, int(match[3]), headers)


def _split_target(target: bytes) -> tuple[str, str]:
    if target == b"*":
        return "*", ""
    if not target.startswith(b"/"):
        raise BadRequest(400, "the target is not a path")
    path, _, query = target.partition(b"?")
    # Latin-1 is WSGI's way to carry undecoded bytes (PEP 3333).
    return unquote_to_bytes(path).decode("latin-1"), query.decode("ascii")
