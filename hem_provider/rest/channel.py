"""The one way to a device: what a ``Call`` is on the wire, and what a reply is as its value.

Here are the rules of device API §1.5 and §20.1: explicit length, body limit, no keys over plain
HTTP, one request in flight per device, spacing, and the translation of status codes. Who runs a call
(``LoginSession.run``) has the token and the recoveries.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from hem_provider._version import __version__
from hem_provider.config import DeviceConfig
from hem_provider.config.limits import FirmwareLimits
from hem_provider.errors import HemRequestRefused, MessageTooLong
from hem_provider.logs import WARNING, Logger
from hem_provider.perprocess import PerProcess
from hem_provider.records import mutable
from hem_provider.rest.agentlink import agent_of
from hem_provider.rest.answer import Answer
from hem_provider.rest.call import Call
from hem_provider.rest.fields import EMPTY, Shape
from hem_provider.rest.status import error_for
from hem_provider.rest.transports import Carriers, way_of
from hem_provider.rest.turns import let_go, turn
from hem_provider.rest.wire import Limit, Reply, Request, Transport

__all__ = ["Channel", "EndpointGroup", "Statistics"]

_log = Logger("hem_provider.rest")

T = TypeVar("T")

#: A look at the end of a wait is not cut shorter than this, in seconds.
_LEAST_LOOK = 1.0


@mutable
class Statistics:
    """Counts since construction. ``calls``: requests to the device, by whatever way, and, for its sake, to
    the cloud. ``logins``: proofs posted by ourselves, accepted or not. ``remembered``: answers that an agent
    gave from its memory, which are no calls."""

    calls: int = 0
    logins: int = 0
    remembered: int = 0


class EndpointGroup:
    """One group of the cloud's endpoints, reached by ``channel``."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._channel.config.name}>"


class Channel:
    """Requests to one device (and to the cloud on its behalf). Constructing does no I/O."""

    def __init__(self, config: DeviceConfig) -> None:
        self.config = config
        self.limits: FirmwareLimits = config.firmware_limits
        self.statistics = Statistics()
        self.reached = -math.inf  #: when the device answered last (monotonic seconds)
        self._warned = False
        self._limits: dict[str, Limit] = {}  # by setting
        self.server = ""  #: the ``Server`` header seen last
        self._way = way_of(config.url)
        self._carriers = PerProcess(lambda: Carriers(config))
        self.agent = agent_of(config)  #: what the device may be reached through
        #: Makes the way to the device one that somebody watches.
        self.watch: Callable[[Transport], Transport] | None = None

    def __reduce__(self) -> str:
        raise TypeError("a connection is not pickled: connect() in the other process, or fork")

    def body(self, call: Call[object]) -> bytes | None:
        """What ``call`` sends as JSON, if it does: to be asked for before a login, as here is refused what
        is never sent. ``HemRequestRefused`` for a key over plain HTTP, ``MessageTooLong`` for too much.
        """
        if self._way.plain and call.tls_only:
            raise HemRequestRefused(
                f"{self._where(call)}: keys are used over HTTPS only; "
                f"{self.config.url} is plain HTTP (nothing was sent)",
                code="E-PLAIN-HTTP",
            )
        if call.method != "POST" or call.upload is not None:
            return None
        data = json.dumps(call.body or {}, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
        if len(data) > self.limits.body:
            raise MessageTooLong(
                f"{self._where(call)}: the request would be {len(data)} bytes, "
                f"the device takes at most {self.limits.body} (nothing was sent)",
                size=len(data),
                limit=self.limits.body,
            )
        return data

    def request(self, call: Call[object], body: bytes | None, token: str | None) -> Request:
        """``call`` as it is sent, with the ``body`` that it has."""
        headers = {"User-Agent": f"hem-provider/{__version__}", **(call.headers or {})}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
            if self._way.plain and not self._warned:
                self._warned = True
                _log.log(WARNING, "%s: PLAIN HTTP: whoever listens can use this login", self.config.url)
        upload = body if call.upload is None else call.upload()
        return Request(call.method, call.path, headers, upload, self.limit(call), call.repeatable)

    def limit(self, call: Call[object]) -> Limit:
        """The seconds that ``call`` may take."""
        limit = call.limit
        if isinstance(limit, Limit):
            return limit
        return self._limits.get(limit) or self._limits.setdefault(
            limit, Limit(getattr(self.config, limit), limit)
        )

    def turn(self, request: Request) -> AbstractContextManager[Callable[[], None]]:
        """The device's turn for a request, to be told when that leaves. ``HemTimeout`` when it does not come;
        nothing was sent then."""
        config = self.config
        return turn(
            config.url,
            where=f"{self.name}: {request.method} {request.path}",
            timeout=config.timeout,
            spacing=config.spacing,
            among_processes=self._way.network,
            turn_timeout=config.turn_timeout,
            lasting=request.limit.seconds if request.limit.seconds > config.timeout else 0.0,
        )

    def device(self) -> Transport:
        """The way to the device itself, for one attempt, which is counted."""
        self.statistics.calls += 1
        carrier = self._carriers.get().device()
        return carrier if self.watch is None else self.watch(carrier)

    def answered(self, reply: Reply) -> None:
        """Note that the device has answered."""
        self.reached = time.monotonic()
        self.server = reply.headers.get("server", self.server)

    def relayed(self, reply: Reply) -> Reply:
        """Note what came through the agent: the device's answer, or one that the agent remembered."""
        if "age" in reply.headers:
            self.statistics.remembered += 1
        else:
            self.statistics.calls += 1
        self.server = reply.headers.get("server", self.server)
        return reply

    def read(self, call: Call[T], reply: Reply) -> T:
        """The value of a reply. Raises what ``error_for`` says for a status that is none here, and
        ``HemAnswerFault`` for an answer that cannot be true."""
        status = reply.status
        if call.is_relayed and (status != 401 or not call.scopes):
            return reply  # type: ignore[return-value]  # which is what such a call is of
        if call.verdicts is not None and status in call.verdicts:
            return call.verdicts[status]
        if not 200 <= status < 300:
            raise error_for(status, self._where(call), call.meanings)
        where = f"{self.name}: {call.method} {call.form or call.path}"
        if not call.is_json:
            kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
            return call.read(Answer({}, where, {}, status, body=reply.body, media_type=kind))
        return call.read(Answer.from_reply(reply, where, call.answer, call.asked))

    def cloud(
        self,
        method: str,
        path: str,
        *,
        answer: Shape = EMPTY,
        form: str = "",
        body: Mapping[str, Any] | None = None,
        within: float = math.inf,
    ) -> tuple[Reply, Answer]:
        """One JSON request to the cloud service; the reply and, for 2xx, its object.

        ``answer``, ``form``: as those of a ``Call``. ``within``: seconds that are left of a longer
        wait, of which this is one look.
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
        where = f"{self.config.cloud_url}: {method} {form or path}"
        if not 200 <= reply.status < 300:
            return reply, Answer({}, where, {}, reply.status)
        # A GET that is answered 201 or 202 has no result yet.
        done = reply.status == 200 or method != "GET"
        return reply, Answer.from_reply(reply, where, answer if done else EMPTY)

    def close(self) -> None:
        """Drop this process's connections. The channel may be used again."""
        if self.agent is not None:
            self.agent.close()
        carriers = self._carriers.discard()
        if carriers is not None:
            carriers.close()
        let_go(self.config.url)

    @property
    def name(self) -> str:
        """The device as messages name it."""
        return f"{self.config.name} ({self.config.url})"

    def _where(self, call: Call[object]) -> str:
        return f"{self.name}: {call.method} {call.path}"
