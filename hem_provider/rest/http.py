"""HTTP and HTTPS through ``requests``: one adapter, one TLS context, and nothing taken from the
environment (device API §1.4, §20.1).

``requests`` is imported here and only here; this module is imported at the first request.
"""

from __future__ import annotations

import contextlib
import math
import ssl
import time
from typing import IO, Any, NoReturn

import requests
import requests.structures
from urllib3.exceptions import HTTPError
from urllib3.exceptions import SSLError as PoolSSLError

from hem_provider.errors import HemProtocolError, HemTimeout, HemTLSError, HemUnreachable
from hem_provider.logs import WARNING, Logger
from hem_provider.printable import printable
from hem_provider.rest.adapter import Adapter, within
from hem_provider.rest.deadline import AnswerTooLargeError, Deadline
from hem_provider.rest.tls import PinMismatchError
from hem_provider.rest.wire import MAX_ANSWER, ConnectionLostError, Limit, Reply, Request

__all__ = ["HttpTransport"]

_log = Logger("hem_provider.rest")
_CHUNK = 64 * 1024
#: A connection idle for longer is not used again; after a dead one none is kept for so long. Seconds.
_KEEP, _DISTRUST = 10.0, 300.0
#: Characters of an error's text that a message shows.
_SHOWN = 200
_WITHOUT_BODY = ("GET", "HEAD")
#: OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED.
_EXPIRED = 10
#: What is waited for once the head of the answer is here, as ``Deadline.stage`` has it.
_WHOLE_ANSWER = "whole answer"


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
        peer: str = "the device",
        loudly_unverified: bool = False,
    ) -> None:
        self._url = url.rstrip("/")
        self._peer = peer  # in words, for errors
        self._connecting = Limit(connect_timeout, "connect_timeout")
        self._proxies = {"https": proxy, "http": proxy} if proxy else {}
        self._context = context
        self._verify = context is None or context.verify_mode != ssl.CERT_NONE
        self._adapter = Adapter(context)
        self._kept_at = self._distrust_until = -math.inf
        if loudly_unverified:
            _log.log(
                WARNING,
                "%s: INSECURE: the device's certificate is not verified; anybody may be answering",
                self._url,
            )

    def send(self, request: Request) -> Reply:
        """Send one request and read its whole answer; see ``Transport.send``."""
        now = time.monotonic()
        deadline = Deadline(request.limit, self._connecting, ends=request.ends)
        reusing = request.repeatable and now - self._kept_at <= _KEEP
        if not reusing:
            self._adapter.close()
        before = self._handshakes
        try:
            with within(deadline):
                response = self._adapter.send(
                    self._prepared(request, keep=self._context is not None and now >= self._distrust_until),
                    stream=True,
                    timeout=deadline.left(),  # of each step; the sockets see to the whole
                    verify=self._verify,
                    proxies=self._proxies,
                )
            with contextlib.closing(response):
                deadline.stage = _WHOLE_ANSWER
                body = self._read(response)
        except (requests.exceptions.RequestException, HTTPError, OSError) as error:
            self._adapter.close()
            if reusing and self._handshakes == before:
                self._distrust_until = now + _DISTRUST
            self._fail(error, request, deadline)
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

    def _read(self, response: requests.Response) -> bytes:
        body = bytearray()
        # What one read from the socket gives: waiting for more would go on with a peer that trickles.
        read = getattr(response.raw, "read1", response.raw.read)
        while chunk := read(_CHUNK):
            body += chunk
            if len(body) > MAX_ANSWER:
                raise HemProtocolError(f"{self._url}: the answer is larger than {MAX_ANSWER} bytes")
        return bytes(body)

    def _fail(self, error: Exception, request: Request, deadline: Deadline) -> NoReturn:
        # One exception for the user: what the libraries nest is in its text.
        where = f"{self._url}: {request.method} {request.path}"
        causes = list(_causes(error))
        for cause in causes:
            if isinstance(cause, PinMismatchError):
                raise HemTLSError(f"{where}: {cause.args[0]}") from None
            if isinstance(cause, ssl.SSLCertVerificationError) and cause.verify_code == _EXPIRED:
                raise HemTLSError(
                    f"{where}: the certificate has expired. Check this machine's clock; "
                    "'hem certificate renew' renews a device's (in Python hem.certificate.renew())"
                ) from None
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise HemTLSError(
                    f"{where}: the certificate is not acceptable: {cause.verify_message}. "
                    "Give the right ca_file or pin_sha256, or the name the certificate is for"
                ) from None
            if isinstance(cause, AnswerTooLargeError):
                raise HemProtocolError(f"{where}: the answer does not end: {cause}") from None
        late = _any(causes, (TimeoutError,))
        cut = _any(causes, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
        if not late and not cut and _any(causes, (ssl.SSLError, PoolSSLError)):
            raise HemTLSError(f"{where}: TLS failed: {_quoted(causes[-1])}") from None
        if deadline.connecting:
            # A name without an address, a refused connection and a proxy that says no are OSErrors.
            found = [_reason(cause) for cause in causes if isinstance(cause, OSError)]
            reason = f"no {deadline.stage} within {deadline.limit}" if late else found[-1]
            raise HemUnreachable(f"{self._url}: cannot reach {self._peer}: {reason}") from None
        if late:
            begun = deadline.stage == _WHOLE_ANSWER
            what = "the answer was not complete in time, which is" if begun else "no answer within"
            raise HemTimeout(f"{where}: {what} {deadline.limit}") from None
        lost = "" if cut else f" before the answer: {_reason(causes[-1])}"
        told = ConnectionLostError(f"{where}: the connection was lost{lost}")
        told.begun = deadline.stage == _WHOLE_ANSWER
        raise told from None

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


def _quoted(cause: BaseException) -> str:
    """Its text, which may be the peer's: on one line, without control characters, not at any length."""
    text = printable(str(cause).strip())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def _reason(cause: BaseException) -> str:
    """Why the system could not do it, in its words alone."""
    plain = isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError) and cause.strerror
    return str(plain) if plain else _quoted(cause)


def _any(causes: list[BaseException], classes: tuple[type[BaseException], ...]) -> bool:
    return any(isinstance(cause, classes) for cause in causes)
