"""Calls to a WSGI application of the emulator from the same process, for set-up and for the simulated
phone."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hem_provider.emulator.encodings import compact_json, parse_json_object
from hem_provider.emulator.wsgi import Application

__all__ = ["Reply", "call"]


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, headers (names in lower case) and body of an answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; ``ValueError`` when it is none."""
        return parse_json_object(self.body)


def call(
    application: Application,
    method: str,
    path: str,
    body: object = None,
    *,
    token: str | None = None,
    secure: bool = True,
    headers: Iterable[tuple[str, str]] = (),
) -> Reply:
    """One request; ``body`` is bytes, sent as they are, or anything JSON has."""
    content = body if isinstance(body, bytes) else b"" if body is None else compact_json(body).encode()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "https" if secure else "http",
        "wsgi.input": io.BytesIO(content),
        "HTTP_HOST": "my.ence.do",
    }
    if content:
        environ["CONTENT_LENGTH"] = str(len(content))
        environ["CONTENT_TYPE"] = "application/json"
    if token is not None:
        environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    for name, value in headers:
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_LENGTH", "CONTENT_TYPE") else f"HTTP_{key}"] = value
    started: list[Any] = []

    def start_response(status: str, response_headers: list[tuple[str, str]]) -> None:
        started[:] = [status, response_headers]

    data = b"".join(application(environ, start_response))
    found = {name.lower(): value for name, value in started[1]}
    return Reply(int(started[0].split(" ")[0]), found, data)
