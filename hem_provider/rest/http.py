"""HTTP and HTTPS through ``requests``: one session, one TLS context, and nothing taken from the
environment (device API §1.4, §20.1).

``requests`` is imported here and only here; this module is imported at the first request.
"""

from __future__ import annotations

import contextlib
import logging
import ssl
import time
from http.cookiejar import DefaultCookiePolicy
from typing import Any, NoReturn

import requests
import requests.adapters
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
#: OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED.
_EXPIRED = 10


class HttpTransport:
    """One HTTP host. ``url`` has no path of its own, or a prefix for all paths."""

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
        self._verify = context is None or context.verify_mode != ssl.CERT_NONE
        self._proxies = {"https": proxy, "http": proxy} if proxy else {}
        self._session = requests.Session()
        self._session.trust_env = False  # no netrc, no proxies, no CA bundle from the environment
        self._session.headers.clear()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # none are kept
        if context is not None:
            self._session.mount("https://", _Adapter(context))
        if loudly_unverified:
            _log.warning(
                "%s: INSECURE: the device's certificate is not verified; anybody may be answering",
                self._url,
            )

    def send(self, request: Request) -> Reply:
        """Send one request and read its whole answer; see ``Transport.send``."""
        deadline = time.monotonic() + self._connect_timeout + request.timeout
        try:
            response = self._session.request(
                request.method,
                self._url + request.path,
                headers=dict(request.headers),
                data=request.body,
                timeout=(self._connect_timeout, request.timeout),
                allow_redirects=False,
                verify=self._verify,
                proxies=self._proxies,
                stream=True,
            )
            with contextlib.closing(response):
                body = self._read(response, deadline)
        except requests.exceptions.RequestException as error:
            self._fail(error, request)
        except HTTPError as error:  # from reading the body
            self._fail(error, request)
        except OSError as error:
            self._fail(error, request)
        headers = {name.lower(): value for name, value in response.headers.items()}
        if not body and not headers.keys() & {"content-length", "transfer-encoding"}:
            # The parser takes headers cut short for complete ones; an empty 200 is a device's "valid".
            raise ConnectionLostError(
                f"{self._url}: {request.method} {request.path}: the answer is cut short"
            )
        return Reply(response.status_code, headers, body)

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
        """Drop connections; the session opens new ones when needed."""
        self._session.close()


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
    """Trusts the decision of our context: the library would warn for pinned connections too."""

    def connect(self) -> None:
        super().connect()
        self.is_verified = True


class _Pool(HTTPSConnectionPool):
    ConnectionCls = _Connection


class _Adapter(requests.adapters.HTTPAdapter):
    """Uses our TLS context as it is: without this, ``requests`` adds its CA bundle to it."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(max_retries=0)

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
