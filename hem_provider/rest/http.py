"""HTTP and HTTPS through ``requests``: one adapter, one TLS context, and nothing taken from the
environment (device API §1.4, §20.1).

``requests`` is imported here and only here; this module is imported at the first request.
"""

from __future__ import annotations

import contextlib
import logging
import math
import ssl
import time
from typing import IO, Any, NoReturn

import requests
import requests.adapters
import requests.structures
import urllib3
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ReadTimeoutError,
)
from urllib3.exceptions import SSLError as PoolSSLError

from hem_provider.errors import HemProtocolError, HemTimeout, HemTLSError, HemUnreachable
from hem_provider.rest.tls import PinMismatchError
from hem_provider.rest.wire import MAX_ANSWER, ConnectionLostError, Reply, Request

__all__ = ["HttpTransport"]

_log = logging.getLogger("hem_provider.rest")
_CHUNK = 64 * 1024
#: A connection idle for longer is not used again; after a dead one none is kept for so long. Seconds.
_KEEP, _DISTRUST = 10.0, 300.0
_WITHOUT_BODY = ("GET", "HEAD")
#: OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED.
_EXPIRED = 10


class HttpTransport:
    """One HTTP host. ``url`` has no path of its own, or a prefix for all paths.

    A connection is kept where the peer keeps it, for a short while, and is used again by requests
    that may be repeated. Devices are known that close without saying so (device API §1.4): once a
    kept connection turns out to be dead, none is kept for some minutes.
    """

    def __init__(
        self,
        url: str,
        context: ssl.SSLContext | None,
        *,
        connect_timeout: float,
        proxy: str | None = None,
        loudly_unverified: bool = False,
    ) -> None:
        self._url = url.rstrip("/")
        self._connect_timeout = connect_timeout
        self._proxies = {"https": proxy, "http": proxy} if proxy else {}
        self._context = context
        self._verify = context is None or context.verify_mode != ssl.CERT_NONE
        # The adapter without a session: nothing of the environment, no cookies, no redirects.
        self._adapter = requests.adapters.HTTPAdapter(max_retries=0) if context is None else _Adapter(context)
        self._kept_at = self._distrust_until = -math.inf
        if loudly_unverified:
            _log.warning(
                "%s: INSECURE: the device's certificate is not verified; anybody may be answering",
                self._url,
            )

    def send(self, request: Request) -> Reply:
        """Send one request and read its whole answer; see ``Transport.send``."""
        now = time.monotonic()
        deadline = now + self._connect_timeout + request.timeout
        reusing = request.repeatable and now - self._kept_at <= _KEEP
        if not reusing:
            self._adapter.close()
        before = self._handshakes
        try:
            response = self._adapter.send(
                self._prepared(request, keep=self._context is not None and now >= self._distrust_until),
                stream=True,
                timeout=(self._connect_timeout, request.timeout),
                verify=self._verify,
                proxies=self._proxies,
            )
            with contextlib.closing(response):
                body = self._read(response, deadline)
        except (requests.exceptions.RequestException, HTTPError, OSError) as error:
            self._adapter.close()
            if reusing and self._handshakes == before:
                self._distrust_until = now + _DISTRUST
            self._fail(error, request)
        self._kept_at = time.monotonic()
        headers = {name.lower(): value for name, value in response.headers.items()}
        if not body and not headers.keys() & {"content-length", "transfer-encoding"}:
            # The parser takes headers cut short for complete ones; an empty 200 is a device's "valid".
            raise ConnectionLostError(
                f"{self._url}: {request.method} {request.path}: the answer is cut short"
            )
        return Reply(response.status_code, headers, body)

    @property
    def _handshakes(self) -> int:
        return getattr(self._context, "handshakes", 0)

    def _prepared(self, request: Request, *, keep: bool) -> requests.PreparedRequest:
        """As it goes out: preparing it the long way would take as long as the TLS handshake."""
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url = request.method, self._url + request.path
        prepared.body = request.body  # type: ignore[assignment]
        prepared.headers = requests.structures.CaseInsensitiveDict(request.headers)
        if not keep:
            prepared.headers["Connection"] = "close"
        if request.body is not None or request.method not in _WITHOUT_BODY:
            prepared.headers["Content-Length"] = str(0 if request.body is None else _length(request.body))
        return prepared

    def _read(self, response: requests.Response, deadline: float) -> bytes:
        body = bytearray()
        # One read from the socket at a time: a slow trickle must not outlast the deadline.
        read = getattr(response.raw, "read1", response.raw.read)
        while chunk := read(_CHUNK):
            body += chunk
            if len(body) > MAX_ANSWER:
                raise HemProtocolError(f"{self._url}: the answer is larger than {MAX_ANSWER} bytes")
            if time.monotonic() > deadline:
                raise HemTimeout(f"{self._url}: the answer was not complete in time")
        return bytes(body)

    def _fail(self, error: Exception, request: Request) -> NoReturn:
        where = f"{self._url}: {request.method} {request.path}"
        causes = list(_causes(error))
        for cause in causes:
            if isinstance(cause, PinMismatchError):
                raise HemTLSError(f"{where}: {cause.args[0]}") from error
            if isinstance(cause, ssl.SSLCertVerificationError) and cause.verify_code == _EXPIRED:
                raise HemTLSError(
                    f"{where}: the certificate has expired. Check this machine's clock; "
                    "hem.certificate.renew() renews a device's"
                ) from error
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise HemTLSError(
                    f"{where}: the certificate is not acceptable: {cause.verify_message}. "
                    "Give the right ca_file or pin_sha256, or the name the certificate is for"
                ) from error
        if _any(causes, (ConnectTimeoutError, NewConnectionError)):
            # NameResolutionError and refused connections are NewConnectionError.
            reason = next(
                (str(cause) for cause in reversed(causes) if isinstance(cause, OSError)),
                "no connection in time",
            )
            raise HemUnreachable(f"{self._url}: cannot reach the device: {reason}") from error
        if _any(causes, (ReadTimeoutError, TimeoutError)):
            raise HemTimeout(f"{where}: no answer within {request.timeout:g} s") from error
        if _any(causes, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
            raise ConnectionLostError(f"{where}: the connection was lost") from error
        if _any(causes, (ssl.SSLError, PoolSSLError)):
            raise HemTLSError(f"{where}: TLS failed: {causes[-1]}") from error
        raise ConnectionLostError(
            f"{where}: the connection was lost before the answer: {causes[-1]}"
        ) from error

    def close(self) -> None:
        """Drop connections; new ones are opened when needed."""
        self._adapter.close()


def _length(body: bytes | IO[bytes]) -> int:
    return len(body)  # type: ignore[arg-type]  # an upload's readable has a length (``Request``)


def _causes(error: BaseException) -> Any:
    """The error and everything under it: requests and urllib3 nest by ``args`` and ``reason``."""
    seen: set[int] = set()
    queue: list[object] = [error]
    while queue:
        each = queue.pop(0)
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        queue += [getattr(each, "reason", None), *each.args, each.__cause__, each.__context__]


def _any(causes: list[BaseException], classes: tuple[type[BaseException], ...]) -> bool:
    return any(isinstance(cause, classes) for cause in causes)


class _Connection(HTTPSConnection):
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


class _Pool(HTTPSConnectionPool):
    ConnectionCls = _Connection


class _Adapter(requests.adapters.HTTPAdapter):
    """Uses our TLS context as it is: without this, ``requests`` adds its CA bundle to it.

    It speaks to one host: the pool is looked up once, and an answer is no more than what we read.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._pool: Any = None
        super().__init__(max_retries=0)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        if self._pool is None:
            self._pool = super().get_connection_with_tls_context(*args, **kwargs)
        return self._pool

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
        self.poolmanager.pool_classes_by_scheme = {
            "http": urllib3.HTTPConnectionPool,
            "https": _Pool,
        }

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self._context, **kwargs)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ARG002 - the library's signature
        conn.cert_reqs = self._context.verify_mode
        conn.ca_certs = conn.ca_cert_dir = None
