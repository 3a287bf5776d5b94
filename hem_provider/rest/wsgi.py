"""Devices that are called in this process instead of over a network: WSGI applications from the
entry point group ``hem_provider.devices``.

A device URL ``SCHEME:PATH`` names the entry point ``SCHEME``; what it loads is called with ``PATH``
and gives an object with the WSGI applications ``device`` and ``cloud`` and with ``close()``.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from typing import Any, Protocol

from hem_provider.errors import HemConfigError, HemError, HemTimeout, HemUnreachable
from hem_provider.installation import missing
from hem_provider.rest.wire import ConnectionLostError, Reply, Request

__all__ = ["GROUP", "InProcessDevice", "WsgiTransport", "open_in_process"]

GROUP = "hem_provider.devices"

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class InProcessDevice(Protocol):
    """What an entry point of the group gives."""

    device: Application
    cloud: Application

    def close(self) -> None:
        """Release what the device holds in this process."""


def open_in_process(url: str) -> InProcessDevice:
    """Open ``SCHEME:PATH``. Raises ``HemConfigError`` naming the extra that is missing."""
    scheme, _, path = url.partition(":")
    found = list(entry_points(group=GROUP, name=scheme))
    if not found:
        raise HemConfigError(f"{url}: {missing(scheme)}", code="E-EXTRA")
    try:
        device: InProcessDevice = found[0].load()(path)
    except ImportError as error:
        raise HemConfigError(f"{url}: {missing(scheme, str(error))}", code="E-EXTRA") from error
    except HemError:
        raise
    except Exception as error:
        raise HemUnreachable(f"{url}: cannot be opened: {error}") from error
    return device


class WsgiTransport:
    """Calls one application as an HTTPS server would."""

    def __init__(
        self, application: Application, url: str, *, on_close: Callable[[], None] | None = None
    ) -> None:
        self._application = application
        self._url = url
        self._on_close = on_close

    def send(self, request: Request) -> Reply:
        """Call the application; whatever it raises is a lost connection."""
        body = request.body if isinstance(request.body, bytes) else b""
        if request.body is not None and not isinstance(request.body, bytes):
            body = request.body.read()
        status: list[str] = []
        headers: dict[str, str] = {}

        def start_response(line: str, fields: list[tuple[str, str]], exc_info: object = None) -> None:  # noqa: ARG001 - PEP 3333
            status[:] = [line]
            headers.clear()
            headers.update({name.lower(): value for name, value in fields})

        try:
            parts = self._application(self._environ(request, body), start_response)
            try:
                answer = b"".join(parts)
            finally:
                close = getattr(parts, "close", None)
                if close is not None:
                    close()
            code = int(status[0].split(" ")[0])
        except TimeoutError as error:
            raise HemTimeout(f"{self._url}: {request.method} {request.path}: no answer in time") from error
        except Exception as error:
            raise ConnectionLostError(
                f"{self._url}: {request.method} {request.path}: no answer: {error}"
            ) from error
        wanted = headers.get("content-length", str(len(answer)))
        if wanted != str(len(answer)):
            cut = ConnectionLostError(
                f"{self._url}: {request.method} {request.path}: the answer is cut short: "
                f"{len(answer)} of {wanted:.20} bytes"
            )
            cut.begun = True
            raise cut
        return Reply(code, headers, answer)

    def _environ(self, request: Request, body: bytes) -> dict[str, Any]:
        path, _, query = request.path.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        if request.body is not None:
            environ["CONTENT_LENGTH"] = str(len(body))
        for name, value in request.headers.items():
            key = name.upper().replace("-", "_")
            environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
        return environ

    def close(self) -> None:
        """Let the device close its files; the next ``send`` opens them again."""
        if self._on_close is not None:
            self._on_close()
