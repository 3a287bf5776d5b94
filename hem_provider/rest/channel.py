"""The one way to a device: every request goes through ``Channel.call``.

Here are the rules of device API §1.5 and §20.1: explicit length, body limit, no keys over plain
HTTP, one request in flight per device, spacing, and the translation of status codes.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import IO, Any
from urllib.parse import urlsplit

from hem_provider._version import __version__
from hem_provider.config import DeviceConfig
from hem_provider.errors import HemRequestRefused, HemUnreachable, MessageTooLong
from hem_provider.rest.answer import Answer
from hem_provider.rest.answers import CLOUD, shape_of
from hem_provider.rest.fields import Asked, Shape
from hem_provider.rest.perprocess import PerProcess
from hem_provider.rest.repeat import repeatable
from hem_provider.rest.status import Meanings, error_for
from hem_provider.rest.transports import Carriers
from hem_provider.rest.turns import turn
from hem_provider.rest.wire import ConnectionLostError, Limit, Reply, Request, Transport

__all__ = ["MAX_BODY", "Channel", "EndpointGroup", "Statistics"]

_log = logging.getLogger("hem_provider.rest")

#: Largest JSON body the device takes, in bytes (device API §1.5).
MAX_BODY = 7300
#: A device that answered this recently is given a second chance to connect, after a pause; seconds.
_RECENTLY, _BREATH = 60.0, 0.5
#: A look at the end of a wait is not cut shorter than this, in seconds.
_LEAST_LOOK = 1.0
#: Endpoints that exist over TLS only (device API §1.2).
_TLS_ONLY = ("/api/keymgmt/", "/api/crypto/")


@dataclass(slots=True)
class Statistics:
    """Counts since construction. ``calls``: requests to the device and, for its sake, to the
    cloud. ``logins``: proofs posted, accepted or not."""

    calls: int = 0
    logins: int = 0


class EndpointGroup:
    """One group of the device's endpoints, reached by ``channel``."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._channel.config.name}>"


class Channel:
    """Requests to one device (and to the cloud on its behalf). Constructing does no I/O."""

    def __init__(self, config: DeviceConfig) -> None:
        self.config = config
        self.statistics = Statistics()
        self._reached = -math.inf
        self._warned = False
        self.server = ""  #: the ``Server`` header seen last
        scheme = urlsplit(config.url).scheme
        self._plain = scheme == "http"
        self._network = scheme in ("http", "https")
        self._carriers = PerProcess(lambda: Carriers(config))

    def __reduce__(self) -> str:
        raise TypeError("a connection is not pickled: connect() in the other process, or fork")

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        upload: bytes | IO[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
        timeout: Limit | None = None,
        meanings: Meanings | None = None,
        asked: Asked | None = None,
    ) -> Answer:
        """One request to the device; its JSON answer, held against the table of answers.

        ``timeout``, for the whole request, replaces the configured one. ``meanings`` narrows status
        codes. ``asked``: what the answer must agree with. Raises what ``error_for`` says for a status
        ≥ 300, ``HemAnswerFault`` for an answer that cannot be true, ``HemConnectionError``'s children
        for a lost one, and ``MessageTooLong`` or ``HemRequestRefused`` for what is never sent.
        """
        reply = self.exchange(
            method, path, body=body, upload=upload, headers=headers, token=token, timeout=timeout
        )
        if not 200 <= reply.status < 300:
            raise error_for(reply.status, self._where(method, path), meanings)
        return self.read(reply, method, path, asked)

    def read(self, reply: Reply, method: str, path: str, asked: Asked | None = None) -> Answer:
        """The object of a successful reply, held against the table of answers: ``HemAnswerFault``."""
        endpoint, shape = shape_of(f"{method} {path}")
        return Answer.from_reply(reply, f"{self._name}: {endpoint}", shape, asked)

    def exchange(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        upload: bytes | IO[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
        timeout: Limit | None = None,
    ) -> Reply:
        """Like ``call``, but whatever status comes back is the caller's to judge."""
        if self._plain and path.startswith(_TLS_ONLY):
            raise HemRequestRefused(
                f"{self._where(method, path)}: keys are used over HTTPS only; "
                f"{self.config.url} is plain HTTP (nothing was sent)"
            )
        fields = {"User-Agent": f"hem-provider/{__version__}", **(headers or {})}
        data = upload
        if method == "POST" and upload is None:
            data = json.dumps(dict(body or {}), separators=(",", ":"), ensure_ascii=False).encode("utf-8")
            fields["Content-Type"] = "application/json"
            if len(data) > MAX_BODY:
                raise MessageTooLong(
                    f"{self._where(method, path)}: the request would be {len(data)} bytes, "
                    f"the device takes at most {MAX_BODY} (nothing was sent)",
                    size=len(data),
                    limit=MAX_BODY,
                )
        if token is not None:
            fields["Authorization"] = f"Bearer {token}"
            if self._plain and not self._warned:
                self._warned = True
                _log.warning("%s: PLAIN HTTP: whoever listens can use this login", self.config.url)
        limit = timeout or Limit(self.config.timeout)
        request = Request(method, path, fields, data, limit, upload is None and repeatable(method, path))
        reply = self._send(self._carriers.get().device(), request)
        self.server = reply.headers.get("server", self.server)
        return reply

    def cloud(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        within: float = math.inf,
    ) -> tuple[Reply, Answer]:
        """One JSON request to the cloud service; the reply and, for 2xx, its object.

        ``within``: seconds that are left of a longer wait, of which this is one look.
        """
        data = None if body is None else json.dumps(dict(body), separators=(",", ":")).encode("utf-8")
        fields = {"User-Agent": f"hem-provider/{__version__}"}
        if data is not None:
            fields["Content-Type"] = "application/json"
        limit = Limit(self.config.timeout)
        if within < limit.seconds:
            limit = Limit(max(within, _LEAST_LOOK), "what was left of the wait")
        request = Request(method, path, fields, data, limit)
        self.statistics.calls += 1
        reply = self._carriers.get().cloud().send(request)
        endpoint, shape = shape_of(f"{CLOUD}{method} {path}")
        where = f"{self.config.cloud_url}: {endpoint.removeprefix(CLOUD)}"
        if not 200 <= reply.status < 300:
            return reply, Answer({}, where, {}, reply.status)
        # A GET that is answered 201 or 202 has no result yet.
        done = reply.status == 200 or method != "GET"
        return reply, Answer.from_reply(reply, where, shape if done else Shape())

    def close(self) -> None:
        """Drop this process's connections. The channel may be used again."""
        carriers = self._carriers.discard()
        if carriers is not None:
            carriers.close()

    def _send(self, transport: Transport, request: Request) -> Reply:
        """In the device's turn. What is sent again, for either reason, is within the same deadline."""
        config = self.config
        with turn(
            config.url,
            where=self._where(request.method, request.path),
            timeout=config.timeout,
            spacing=config.spacing,
            among_processes=self._network,
            turn_timeout=config.turn_timeout,
            lasting=request.limit.seconds if request.limit.seconds > config.timeout else 0.0,
        ):
            request = replace(request, ends=time.monotonic() + request.limit.seconds)
            try:
                reply = self._reach(transport, request)
            except ConnectionLostError as lost:
                if not request.repeatable:
                    raise
                _log.info("%s; sent once more", lost)
                time.sleep(config.spacing)
                reply = self._reach(transport, request)
            self._reached = time.monotonic()
            return reply

    def _reach(self, transport: Transport, request: Request) -> Reply:
        try:
            return self._attempt(transport, request)
        except HemUnreachable as refused:
            # Nothing was processed. A device that answered a moment ago refuses a connection
            # now and then (device API §1.4); one that is away is told at once.
            if time.monotonic() - self._reached > _RECENTLY or self._left(request) <= _BREATH:
                raise
            _log.info("%s; tried once more", refused)
            time.sleep(_BREATH)
            return self._attempt(transport, request)

    @staticmethod
    def _left(request: Request) -> float:
        return math.inf if request.ends is None else request.ends - time.monotonic()

    def _attempt(self, transport: Transport, request: Request) -> Reply:
        self.statistics.calls += 1
        return transport.send(request)

    def _where(self, method: str, path: str) -> str:
        return f"{self._name}: {method} {path}"

    @property
    def _name(self) -> str:
        return f"{self.config.name} ({self.config.url})"
