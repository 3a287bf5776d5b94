"""The WSGI face of the device and the cloud: framing checks, body, response headers.

A device that closes the connection without an answer is a ``ConnectionError`` raised from the application,
which a server turns into a closed socket and a caller in the process sees as such.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

from hem_provider.emulator.device import Device
from hem_provider.emulator.encodings import compact_json, parse_json_object
from hem_provider.emulator.http import JSON, Refusal, Request, Response
from hem_provider.emulator.latency import delay_of
from hem_provider.emulator.state import Fault
from hem_provider.emulator.store import StateFileError

__all__ = ["Application", "Environ", "Service", "StartResponse", "read_exactly", "server_header"]

_LOG = logging.getLogger(__name__)
_MAX_CHUNKED = 1 << 20

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


class Service(Protocol):
    """What answers requests: the device's dispatcher or the cloud."""

    def respond(self, request: Request, *, framing: Refusal | None = None) -> Response:
        """Answer a request; ``framing`` is what was wrong with it before its body was read."""
        ...

    def body_limit(self, method: str, path: str) -> int:
        """The largest body of this endpoint, in bytes."""
        ...

    def chunked_allowed(self) -> bool:
        """Whether a body may come without its length."""
        ...


def server_header() -> str:
    """The ``Server`` header by which a client knows that it talks to the emulator."""
    from hem_provider._version import __version__

    return f"hem-provider-emulator/{__version__}"


def read_exactly(stream: Any, size: int) -> bytes:
    """Up to ``size`` bytes from a WSGI input stream; fewer when it ends early."""
    parts = []
    while size > 0:
        part = stream.read(min(size, 1 << 16))
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _strike_before(struck: Mapping[str, Fault]) -> None:
    """The faults that come before the request is processed."""
    if "reset-before" in struck:
        raise ConnectionResetError("ordered fault: reset before processing")
    if "hang" in struck:
        time.sleep(struck["hang"].seconds)
        raise ConnectionResetError("ordered fault: the device hung")
    if "stall" in struck:
        time.sleep(struck["stall"].seconds)


def _strike_after(response: Response, struck: Mapping[str, Fault]) -> Response:
    """The faults that come after the request was processed: its answer as it leaves."""
    if "reset-after" in struck:
        raise ConnectionResetError("ordered fault: reset after processing")
    if "hang-after" in struck:
        time.sleep(struck["hang-after"].seconds)
        raise ConnectionResetError("ordered fault: the device hung after processing")
    if "status-after" in struck:
        return Response(struck["status-after"].status, close=True)
    if not 200 <= response.status < 300:
        return response
    for name, (kind, damage) in _DAMAGES.items():
        if name in struck:
            response = replace(
                response, body=damage(response.body), content_type=kind or response.content_type
            )
    return response


def _other_types(body: bytes) -> bytes:
    """The same fields, with numbers for texts and texts for all else."""
    try:
        fields = parse_json_object(body)
    except ValueError:
        return body
    return compact_json({name: 5 if isinstance(v, str) else str(v) for name, v in fields.items()}).encode()


#: Fault → type of what is sent, ``None`` where that stays, and how the body is damaged.
_DAMAGES: Final[Mapping[str, tuple[str | None, Callable[[bytes], bytes]]]] = {
    "empty": (None, lambda _: b""),
    "garbage": ("text/html", lambda _: b"<html>Bad Gateway</html>"),
    "fieldless": (JSON, lambda _: b"{}"),
    "wrong-types": (None, _other_types),
}


def _dribble(body: bytes, seconds: float) -> Iterator[bytes]:
    for at in range(len(body)):
        time.sleep(seconds / len(body))
        yield body[at : at + 1]


class Application:
    """A WSGI application over a service, with ordered faults and latency; safe for threads."""

    def __init__(self, service: Service, device: Device, *, latency: bool = False) -> None:
        self._service = service
        self._device = device
        self._latency = latency
        self._server = server_header()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        started = time.monotonic()
        struck, profile = self._conditions(environ)
        _strike_before(struck)
        status = next((fault.status for fault in struck.values() if fault.name == "status"), 0)
        response = Response(status, close=True) if status else self._answer(environ, profile)
        remaining = response.delay - (time.monotonic() - started)
        if remaining > 0:
            time.sleep(remaining)
        return self._send(_strike_after(response, struck), struck, start_response)

    def _conditions(self, environ: Environ) -> tuple[dict[str, Fault], Mapping[str, float]]:
        """The faults that strike this request, and the latency profile in force."""
        with self._device.transaction():
            knobs = self._device.state.knobs
            if not knobs.faults:
                return {}, knobs.latency
            from hem_provider.emulator.faults import pick  # loaded only when faults are ordered

            struck = pick(self._device, str(environ["REQUEST_METHOD"]), str(environ.get("PATH_INFO", "")))
            return {fault.name: fault for fault in struck}, knobs.latency

    def _answer(self, environ: Environ, profile: Mapping[str, float]) -> Response:
        try:
            return self._respond(environ, profile)
        except ConnectionError:
            raise
        except StateFileError:
            _LOG.exception("the state file failed")
        except Exception:
            _LOG.exception(
                "fault of the emulator in %s %s", environ["REQUEST_METHOD"], environ.get("PATH_INFO")
            )
        return Response(500, close=True)

    def _send(
        self, response: Response, struck: Mapping[str, Fault], start_response: StartResponse
    ) -> Iterable[bytes]:
        body, size = response.body, len(response.body)
        if "truncate" in struck:
            body, size = body[: len(body) // 2], size or 10
        headers = [
            ("Content-Type", response.content_type),
            ("Content-Length", str(size)),
            ("Server", self._server),
            *response.headers,
        ]
        if response.close or "truncate" in struck:
            headers.append(("Connection", "close"))
        start_response(response.status_line, headers)
        if "slow" in struck:
            return _dribble(body, struck["slow"].seconds)
        return [body] if body else []

    def _respond(self, environ: Environ, profile: Mapping[str, float]) -> Response:
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
        request = Request(method, path, secure, headers, body, complete)
        response = self._service.respond(request, framing=framing)
        seconds = delay_of(profile, method, path, body) if self._latency else 0.0
        return replace(response, delay=max(seconds, response.delay)) if seconds else response

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
