"""HTTP by ``requests``, for what needs more than a connection: a proxy, or a host whose name is not ASCII.

Its adapter is given our TLS context and our sockets: the libraries between them take neither a deadline nor
a context as they are. ``requests`` is imported here and only here.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from typing import Any

import requests
import requests.adapters
import requests.structures
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from hem_provider.errors import HemProtocolError
from hem_provider.rest.deadline import Deadline
from hem_provider.rest.directhttp import WHOLE_ANSWER, WITHOUT_BODY
from hem_provider.rest.sockets import TimedSocket, open_socket
from hem_provider.rest.tls import proxy_context
from hem_provider.rest.wire import MAX_ANSWER, Reply, Request

__all__ = ["RequestsHttp"]

_CHUNK = 64 * 1024

#: Of the request that is being sent.
_deadline: ContextVar[Deadline] = ContextVar("hem_deadline")


@contextmanager
def _within(deadline: Deadline) -> Iterator[None]:
    """Connections that are opened or used again in this block, by this thread, keep ``deadline``, then
    and while the answer is read."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


class _Plain(HTTPConnection):
    """Every step is within the request's deadline."""

    def _new_conn(self) -> TimedSocket:
        return open_socket(self._dns_host, self.port or 0, _deadline.get(), self.socket_options)

    def _tunnel(self) -> None:
        _deadline.get().stage = "answer of the proxy"
        super()._tunnel()

    def connect(self) -> None:
        super().connect()
        _deadline.get().connected()

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:  # else it connects while it sends
            deadline = _deadline.get()
            deadline.connected()
            outer: Any = getattr(self.sock, "socket", self.sock)  # of TLS within a proxy's TLS
            outer.deadline = deadline
        super().request(*args, **kwargs)


class _Connection(_Plain, HTTPSConnection):
    """Head and body leave in one TLS record: sent one after the other they cost a small peer, and us,
    a round more. Trusts the decision of our context: the library would warn for pinned ones too.
    """

    _head: bytes | None = None  # waits for its body; empty: is about to come

    def connect(self) -> None:
        super().connect()
        self.is_verified = True

    def request(self, method: str, url: str, body: Any = None, *args: Any, **kwargs: Any) -> None:
        self._head = b"" if isinstance(body, bytes) and body else None
        super().request(method, url, body, *args, **kwargs)

    def send(self, data: Any) -> None:
        if self._head == b"":
            self._head = bytes(data)
            return
        head, self._head = self._head, None
        super().send(data if head is None else head + data)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _Pool(HTTPSConnectionPool):
    ConnectionCls = _Connection


_POOLS = {"http": _PlainPool, "https": _Pool}


class _Adapter(requests.adapters.HTTPAdapter):
    """Uses ``context`` as it is: without this, ``requests`` adds its CA bundle to it.

    It speaks to one host: the pool is looked up once, and an answer is no more than what we read. There
    is no session above it: nothing of the environment, no cookies, no redirects.
    """

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._pool: Any = None
        super().__init__(max_retries=0)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        if self._pool is None:
            self._pool = super().get_connection_with_tls_context(*args, **kwargs)
        return self._pool

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        return super().request_url(request, proxies) if proxies else str(request.path_url)

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        response = requests.Response()
        response.request, response.raw = req, resp
        response.status_code, response.headers = resp.status, resp.headers
        return response

    def close(self) -> None:
        self._pool = None
        super().close()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._context, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        if proxy.lower().startswith("https:"):
            kwargs["proxy_ssl_context"] = proxy_context()
        manager = super().proxy_manager_for(proxy, ssl_context=self._context, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ARG002 - the library's signature
        if self._context is not None:
            conn.cert_reqs = self._context.verify_mode
            conn.ca_certs = conn.ca_cert_dir = None


class RequestsHttp:
    """One host, by ``proxy`` if there is one; as ``DirectHttp``."""

    errors: tuple[type[Exception], ...] = (requests.exceptions.RequestException, HTTPError, OSError)

    def __init__(self, url: str, context: ssl.SSLContext | None, proxy: str | None) -> None:
        self._url = url
        self._proxies = {"https": proxy, "http": proxy} if proxy else {}
        self._verify = context is None or context.verify_mode != ssl.CERT_NONE
        self._adapter = _Adapter(context)

    def exchange(self, request: Request, deadline: Deadline, where: str, *, keep: bool) -> Reply:
        """See ``DirectHttp.exchange``."""
        with _within(deadline):
            response = self._adapter.send(
                self._prepared(request, keep=keep),
                stream=True,
                timeout=deadline.left(),  # of each step; the sockets see to the whole
                verify=self._verify,
                proxies=self._proxies,
            )
        with closing(response):
            deadline.stage = WHOLE_ANSWER
            body = _body(response, where)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status_code, headers, body)

    def _prepared(self, request: Request, *, keep: bool) -> requests.PreparedRequest:
        """As it goes out: preparing it the long way would take as long as the TLS handshake."""
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url = request.method, self._url + request.path
        prepared.body = request.body  # type: ignore[assignment]
        prepared.headers = requests.structures.CaseInsensitiveDict(request.headers)
        if not keep:
            prepared.headers["Connection"] = "close"
        if request.body is not None or request.method not in WITHOUT_BODY:
            length = 0 if request.body is None else len(request.body)  # type: ignore[arg-type]
            prepared.headers["Content-Length"] = str(length)
        return prepared

    def close(self) -> None:
        """Drop connections."""
        self._adapter.close()


def _body(response: requests.Response, where: str) -> bytes:
    body = bytearray()
    # What one read from the socket gives: waiting for more would go on with a peer that trickles.
    read = getattr(response.raw, "read1", response.raw.read)
    while chunk := read(_CHUNK):
        body += chunk
        if len(body) > MAX_ANSWER:
            raise HemProtocolError(f"{where}: the answer is larger than {MAX_ANSWER} bytes")
    return bytes(body)
