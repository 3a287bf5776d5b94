"""A small web server for one page. It speaks to anybody who reaches it, and knows no logins: so it listens on
this machine alone unless it is told otherwise.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hem_provider.errors import HemConfigError
from hem_provider.records import frozen

__all__ = ["PATH", "USUAL", "Address", "Server", "parse_address"]

#: Where it listens unless told otherwise, and the path of its page.
USUAL, PATH = "127.0.0.1:9797", "/metrics"
#: Seconds for a request to come, and for its answer to be taken.
_PATIENCE = 10.0
#: Connections at once; the oldest makes room for another.
_MOST = 32
#: Seconds for an answer, unless Prometheus says how long it waits; of that, this part is used.
_USUAL_WITHIN, _LEAST, _MOST_WITHIN, _PART = 8.0, 0.2, 60.0, 0.8
_TIMEOUT = "X-Prometheus-Scrape-Timeout-Seconds"
_INDEX = f'<!doctype html><title>hem exporter</title><a href="{PATH}">metrics</a>\n'.encode()
_ACCEPTED = "127.0.0.1:PORT, [::1]:PORT or localhost:PORT, with a PORT from 0 (any that is free) to 65535"

#: Gives the type and the bytes of the page, within so many seconds, in a form that is accepted.
Page = Callable[[float, str], tuple[str, bytes]]


@frozen
class Address:
    """``host``: an IP address."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, *, network: bool) -> Address:
    """``HOST:PORT``. ``ValueError`` says what is accepted; without ``network`` these are addresses of this
    machine alone."""
    host, colon, port = text.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host
    bracketed = host.startswith("[") and host.endswith("]")
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else -1
    try:
        found = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        found = None
    if not colon or found is None or not 0 <= number <= 0xFFFF or bracketed != (found.version == 6):
        raise ValueError(f"{text!r} is no address to listen at; accepted: {_ACCEPTED}")
    if not (found.is_loopback or network):
        raise ValueError(
            f"{text!r}: others would reach it, without a login and without TLS; accepted: {_ACCEPTED}; with "
            "--network also others"
        )
    return Address(str(found), number)


class Server:
    """Listens from its construction on: ``HemConfigError`` where it cannot. ``address``: where it does."""

    def __init__(self, address: Address, page: Page) -> None:
        self._stopped = False
        try:
            self._server = _Server(address, page)
        except OSError as error:
            reason = error.strerror or str(error)
            raise HemConfigError(
                f"{address}: it cannot listen there: {reason}; another place: --listen 127.0.0.1:PORT"
            ) from None
        host, port = self._server.server_address[:2]
        self.address = Address(str(host), int(port))

    @property
    def url(self) -> str:
        """Of the page."""
        return f"http://{self.address}{PATH}"

    def serve(self) -> None:
        """Until ``stop`` is called, from another thread or by a handler of signals. Nothing runs while nobody
        asks."""
        try:
            while not self._stopped:
                self._server.handle_request()
        finally:
            self._server.server_close()

    def stop(self) -> None:
        """End ``serve``; what is being answered is not waited for."""
        self._stopped = True
        with suppress(OSError):
            self._server.socket.shutdown(socket.SHUT_RDWR)  # wakes who waits for connections


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: Address, page: Page) -> None:
        self.page = page
        self._open: dict[socket.socket, None] = {}
        self._guard = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        super().__init__((address.host, address.port), _Handler)

    def server_bind(self) -> None:
        """Without looking up the name of the host, for which others might have to be asked."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            if len(self._open) >= _MOST:
                with suppress(OSError):
                    next(iter(self._open)).shutdown(socket.SHUT_RDWR)
            self._open[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, *_: object) -> None:
        """Whoever goes away in the middle is told of to nobody."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _PATIENCE
    server_version, sys_version = "hem-exporter", ""
    error_content_type = "text/plain; charset=utf-8"
    error_message_format = "%(code)d %(message)s\n"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == PATH:
            self._give(*self.server.page(self._within(), self.headers.get("Accept") or ""))
        elif path == "/":
            self._give("text/html; charset=utf-8", _INDEX)
        else:
            self.send_error(HTTPStatus.NOT_FOUND, f"there is only {PATH}")

    do_HEAD = do_GET  # noqa: N815

    def _give(self, kind: str, content: bytes) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _within(self) -> float:
        try:
            told = float(self.headers.get(_TIMEOUT) or _USUAL_WITHIN / _PART)
        except ValueError:
            told = _USUAL_WITHIN / _PART
        return min(max(told * _PART, _LEAST), _MOST_WITHIN) if told == told else _USUAL_WITHIN

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Without anything of the request."""
        status = HTTPStatus(code)
        told = message if status is HTTPStatus.NOT_FOUND else status.phrase
        super().send_error(code, told, explain)

    def log_message(self, *_: object) -> None:
        """Nothing: requests are not told of."""
