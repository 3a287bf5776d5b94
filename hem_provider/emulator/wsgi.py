"""The WSGI face of the device and the cloud: framing checks, body, response headers.

A device that closes the connection without an answer is a `ConnectionError` raised from the application,
which a
server turns into a closed socket and a caller in the process sees as such.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from .http import Refusal, Request, Response
from .store import StateFileError

__all__ = ["Application", "Environ", "Service", "StartResponse", "read_exactly", "server_header"]

_LOG = logging.getLogger(__name__)
_MAX_CHUNKED = 1 << 20

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


class Service(Protocol):
    """What answers requests: the device's dispatcher or the cloud."""

    def respond(self, request: Request, *, framing: Refusal | None = None) -> Response: ...
    def body_limit(self, method: str, path: str) -> int: ...
    def chunked_allowed(self) -> bool: ...


def server_header() -> str:
    """The `Server` header by which a client knows that it talks to the emulator."""
    from hem_provider._version import __version__

    return f"hem-provider-emulator/{__version__}"


def read_exactly(stream: Any, size: int) -> bytes:
    """Up to `size` bytes from a WSGI input stream; fewer when it ends early."""
    parts = []
    while size > 0:
        part = stream.read(min(size, 1 << 16))
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


class Application:
    """A WSGI application over a service; safe for threads."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._server = server_header()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        started = time.monotonic()
        try:
            response = self._respond(environ)
        except ConnectionError:
            raise
        except StateFileError:
            _LOG.exception("the state file failed")
            response = Response(500, close=True)
        except Exception:
            _LOG.exception(
                "fault of the emulator in %s %s", environ.get("REQUEST_METHOD"), environ.get("PATH_INFO")
            )
            response = Response(500, close=True)
        remaining = response.delay - (time.monotonic() - started)
        if remaining > 0:
            time.sleep(remaining)
        headers = [
            ("Content-Type", response.content_type),
            ("Content-Length", str(len(response.body))),
            ("Server", self._server),
            *response.headers,
        ]
        if response.close:
            headers.append(("Connection", "close"))
        start_response(response.status_line, headers)
        return [response.body] if response.body else []

    def _respond(self, environ: Environ) -> Response:
        method, path = str(environ["REQUEST_METHOD"]), str(environ.get("PATH_INFO", ""))
        headers = {
            name[5:].replace("_", "-").lower(): str(value)
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        if environ.get("CONTENT_TYPE"):
            headers["content-type"] = str(environ["CONTENT_TYPE"])
        body, complete, framing = b"", True, None
        try:
            body, complete = self._body(environ, method, path)
        except Refusal as refusal:
            framing = refusal
        secure = environ.get("wsgi.url_scheme") == "https"
        return self._service.respond(Request(method, path, secure, headers, body, complete), framing=framing)

    def _body(self, environ: Environ, method: str, path: str) -> tuple[bytes, bool]:
        """The body and whether it is complete; Refusal 411 or 413 as device API §1.5 says."""
        stream = environ["wsgi.input"]
        if environ.get("HTTP_TRANSFER_ENCODING"):
            if not self._service.chunked_allowed():
                raise Refusal(411, close=True)
            return read_exactly(stream, _MAX_CHUNKED), True
        text = str(environ.get("CONTENT_LENGTH") or "")
        if not (text.isascii() and text.isdigit()) or int(text) == 0:
            if method == "POST":
                raise Refusal(411, close=True)
            return b"", True
        size = int(text[:12])
        if size > self._service.body_limit(method, path):
            raise Refusal(413, close=True)
        body = read_exactly(stream, size)
        return body, len(body) == size
