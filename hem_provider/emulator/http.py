"""Requests and responses as the emulated applications see them, free of sockets and of WSGI."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from hem_provider.emulator.encodings import compact_json

__all__ = ["JSON", "REASONS", "Refusal", "Request", "Response", "answer"]

JSON = "application/json"

REASONS: Mapping[int, str] = {
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Payload Too Large",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
"""Reason phrases; a status that is absent (418 and the raw codes) has an empty one (device API §1.6)."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``headers`` has lower-case names; ``body`` is empty until the framing checks have
    passed."""

    method: str
    path: str
    secure: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = True
    """``False`` when the client closed before it had sent ``Content-Length`` bytes."""


@dataclass(frozen=True, slots=True)
class Response:
    """One response. ``delay`` is the least number of seconds between the request and this answer."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    close: bool = False
    delay: float = 0.0

    @property
    def status_line(self) -> str:
        """Status and reason as WSGI wants them: ``200 OK``, ``418 `` with nothing after the blank."""
        return f"{self.status} {REASONS.get(self.status, '')}"

    def with_headers(self, headers: Iterable[tuple[str, str]]) -> Response:
        """The same with more headers behind its own."""
        return replace(self, headers=(*self.headers, *headers))


class Refusal(Exception):
    """Raised anywhere in the handling of a request to answer with an error status and, usually, no body."""

    def __init__(self, status: int, *, body: bytes = b"", close: bool = False, delay: float = 0.0) -> None:
        super().__init__(status)
        self.response = Response(status, body, close=close, delay=delay)


def answer(value: object, *, status: int = 200, close: bool = False) -> Response:
    """A response with a JSON body."""
    return Response(status, compact_json(value).encode(), close=close)
