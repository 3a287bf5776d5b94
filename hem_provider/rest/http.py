"""HTTP and HTTPS: one TLS context, one deadline for a request, nothing taken from the environment, and what
it means when no answer comes (device API §1.4, §20.1).

A host is asked over a connection of ours (``directhttp``); by a proxy, or where its name is not ASCII, with
``requests`` (``adapter``), which is not loaded for anything else. This module is imported at the first
request.
"""

from __future__ import annotations

import math
import ssl
import time
from typing import Any, NoReturn, Protocol

from hem_provider.config.direct import is_direct
from hem_provider.errors import HemProtocolError, HemTimeout, HemTLSError, HemUnreachable
from hem_provider.logs import WARNING, Logger
from hem_provider.printable import printable
from hem_provider.rest.deadline import AnswerTooLargeError, Deadline
from hem_provider.rest.directhttp import WHOLE_ANSWER, DirectHttp
from hem_provider.rest.reasons import unreachable, untrusted
from hem_provider.rest.tls import PinMismatchError
from hem_provider.rest.wire import ConnectionLostError, Limit, Reply, Request

__all__ = ["HttpTransport"]

_log = Logger("hem_provider.rest")
#: A connection idle for longer is not used again; after a dead one none is kept for so long. Seconds.
_KEEP, _DISTRUST = 10.0, 300.0
#: Characters of an error's text that a message shows.
_SHOWN = 200
#: OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED.
_EXPIRED = 10


class _Exchanges(Protocol):
    errors: tuple[type[Exception], ...]

    def exchange(self, request: Request, deadline: Deadline, where: str, *, keep: bool) -> Reply: ...

    def close(self) -> None: ...


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
        away: str = "",
        loudly_unverified: bool = False,
    ) -> None:
        self._url = url.rstrip("/")
        self._peer, self._away = peer, away  # in words, for errors, and their code where it is always one
        self._connecting = Limit(connect_timeout, "connect_timeout")
        self._context = context
        self._host = _exchanges(self._url, context, proxy)
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
        deadline = Deadline(request.limit, self._connecting, ends=request.ends, leaves=request.leaves)
        reusing = request.repeatable and now - self._kept_at <= _KEEP
        if not reusing:
            self._host.close()
        before = self._handshakes
        where = f"{self._url}: {request.method} {request.path}"
        keep = self._context is not None and now >= self._distrust_until
        try:
            reply = self._host.exchange(request, deadline, where, keep=keep)
        except self._host.errors as error:
            self._host.close()
            if reusing and self._handshakes == before:
                self._distrust_until = now + _DISTRUST
            self._fail(error, where, deadline)
        self._kept_at = time.monotonic()
        if not reply.body and not reply.headers.keys() & {"content-length", "transfer-encoding"}:
            # The parser takes headers cut short for complete ones; an empty 200 is a device's "valid".
            raise ConnectionLostError(f"{where}: the answer is cut short")
        return reply

    @property
    def _handshakes(self) -> int:
        return getattr(self._context, "handshakes", 0)

    def _fail(self, error: Exception, where: str, deadline: Deadline) -> NoReturn:
        # One exception for the user: what the libraries nest is in its text.
        causes = list(_causes(error))
        for cause in causes:
            if isinstance(cause, PinMismatchError):
                raise HemTLSError(f"{where}: {cause.args[0]}", code="E-TLS-PIN") from None
            if isinstance(cause, ssl.SSLCertVerificationError) and cause.verify_code == _EXPIRED:
                raise HemTLSError(
                    f"{where}: the certificate has expired. Check this machine's clock; "
                    "'hem certificate renew' renews a device's (in Python hem.certificate.renew())",
                    code="E-TLS-EXPIRED",
                ) from None
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise HemTLSError(
                    f"{where}: the certificate is not acceptable: {cause.verify_message}. "
                    "Give the right ca_file or pin_sha256, or the name the certificate is for",
                    code=untrusted(cause.verify_code),
                ) from None
            if isinstance(cause, AnswerTooLargeError):
                raise HemProtocolError(f"{where}: the answer does not end: {cause}") from None
        late = _any(causes, (TimeoutError,))
        cut = _any(causes, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
        if not late and not cut and _any(causes, (ssl.SSLError,)):
            raise HemTLSError(f"{where}: TLS failed: {_quoted(causes[-1])}", code="E-TLS-HANDSHAKE") from None
        if deadline.connecting:
            # A name without an address, a refused connection and a proxy that says no are OSErrors.
            found = [cause for cause in causes if isinstance(cause, OSError)]
            reason = f"no {deadline.stage} within {deadline.limit}" if late else _reason(found[-1])
            told = f"{self._url}: cannot reach {self._peer}: {reason}"
            raise HemUnreachable(told, code=self._away or unreachable(found[-1])) from None
        if late:
            begun = deadline.stage == WHOLE_ANSWER
            what = "the answer was not complete in time, which is" if begun else "no answer within"
            raise HemTimeout(f"{where}: {what} {deadline.limit}") from None
        why = "" if cut else f" before the answer: {_reason(causes[-1])}"
        lost = ConnectionLostError(f"{where}: the connection was lost{why}")
        lost.begun = deadline.stage == WHOLE_ANSWER
        raise lost from None

    def close(self) -> None:
        """Drop connections; new ones are opened when needed."""
        self._host.close()


def _exchanges(url: str, context: ssl.SSLContext | None, proxy: str | None) -> _Exchanges:
    if is_direct(url, proxy):
        return DirectHttp(url, context)
    from hem_provider.rest.adapter import RequestsHttp

    return RequestsHttp(url, context, proxy)


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
