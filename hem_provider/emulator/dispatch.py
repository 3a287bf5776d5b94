"""The order of checks (device API §1.8): one function that takes a request through them to its handler."""

from __future__ import annotations

import logging
from typing import Any

from hem_provider.emulator.audit import Event, Result
from hem_provider.emulator.call import Access, Bearer, Call, Endpoint, Life, Rtc
from hem_provider.emulator.climate import watch
from hem_provider.emulator.device import Device
from hem_provider.emulator.encodings import compact_json, parse_json_object
from hem_provider.emulator.endpoints import ENDPOINTS
from hem_provider.emulator.fields import parse_fields, read_kid
from hem_provider.emulator.handlers.auth import read_bearer
from hem_provider.emulator.http import Refusal, Request, Response
from hem_provider.emulator.quirks import Q
from hem_provider.emulator.router import Router

__all__ = ["DeviceUnreachable", "Dispatcher", "allowed_origin"]

_LOG = logging.getLogger(__name__)

_PREFLIGHT = (
    ("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS"),
    (
        "Access-Control-Allow-Headers",
        "Content-Type, Cache-Control, Pragma, Expires, Authorization, Content-Disposition",
    ),
    ("Access-Control-Max-Age", "86400"),
    ("Access-Control-Allow-Credentials", "true"),
)
_RESULTS = {200: 0, 406: 1, 400: 2}


class DeviceUnreachable(ConnectionRefusedError):
    """The device is off, restarting, stopped by its backend, or has no TLS: nobody answers."""


def allowed_origin(allowed: str, origin: str) -> bool:
    """``True`` when an ``Origin`` header matches the allow-list: ``*``, an exact origin, or
    ``*.domain.tld``."""
    if allowed == "*" or allowed == origin:
        return True
    return allowed.startswith("*.") and origin.partition("://")[2].partition(":")[0].endswith(allowed[1:])


class Dispatcher:
    """Answers requests for one device."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.router = Router((row.method, row.path, row) for row in ENDPOINTS)

    def respond(self, request: Request, *, framing: Refusal | None = None) -> Response:
        """Answer one request; ``framing`` is the refusal of its Content-Length, if any, which comes first of
        all."""
        device = self.device
        with device.transaction():
            self._reachable(request)
            watch(device)
            try:
                if framing is not None:
                    raise framing
                response = self._checked(request)
            except Refusal as refusal:
                response = refusal.response
            return self._finish(request, response)

    def body_limit(self, method: str, path: str) -> int:
        """Largest request body in bytes for this endpoint."""
        found = self.router.find(method, path)
        if found is not None and found[0].upload:
            return found[0].upload
        with self.device.transaction():
            return self.device.switches.number(Q.BODY_LIMIT)

    def chunked_allowed(self) -> bool:
        """Whether the device takes chunked bodies, by a switch (device API §1.5)."""
        with self.device.transaction():
            return not self.device.switches.on(Q.CHUNKED_411)

    def _reachable(self, request: Request) -> None:
        if not self.device.answers:
            raise DeviceUnreachable("the emulated device does not answer")
        if request.secure and self.device.boot.tls is None:
            raise DeviceUnreachable("the emulated device has no TLS certificate")

    def _finish(self, request: Request, response: Response) -> Response:
        switches = self.device.switches
        if response.status >= 400 and not response.body and not switches.on(Q.EMPTY_ERRORS):
            body = compact_json({"error": response.status}).encode()
            response = Response(response.status, body, close=response.close, delay=response.delay)
        headers = []
        config = self.device.config
        if config is not None and config.hsts and request.secure:
            headers.append(("Strict-Transport-Security", "max-age=31536000"))
        origin = request.headers.get("origin")
        if origin and response.status != 412:
            headers += [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
        if switches.on(Q.CLOSE_CONNECTION) and not response.close:
            response = Response(
                response.status, response.body, response.content_type, response.headers, True, response.delay
            )
        return response.with_headers(headers) if headers else response

    def _checked(self, request: Request) -> Response:
        device = self.device
        origin = request.headers.get("origin")
        if origin is not None and not allowed_origin(device.config.origin if device.config else "*", origin):
            raise Refusal(412)
        if request.method == "OPTIONS":
            return Response(204, headers=_PREFLIGHT)
        found = self.router.find(request.method, request.path)
        endpoint = found[0] if found else None
        bearer = self._bearer(request, endpoint)
        if found is None or endpoint is None or self._absent(endpoint):
            raise Refusal(404)
        self._check_state(endpoint)
        if endpoint.tls and not request.secure:
            raise Refusal(endpoint.tls if device.switches.on(Q.PLAIN_HTTP_409) else 418)
        call = Call(device, request, bearer, path=found[1])
        return self._run(endpoint, call)

    def _absent(self, endpoint: Endpoint) -> bool:
        """``True`` for what this model does not have."""
        if self.device.is_ppa:
            return False
        switch = endpoint.epa_switch
        return endpoint.msc or (switch is not None and not self.device.switches.on(switch))

    def _bearer(self, request: Request, endpoint: Endpoint | None) -> Bearer | None:
        header = request.headers.get("authorization")
        if header is None:
            return None
        public = endpoint is not None and endpoint.access is Access.NONE
        if public and not self.device.switches.on(Q.BEARER_CHECKED_FIRST):
            return None
        return read_bearer(self.device, header)

    def _check_state(self, endpoint: Endpoint) -> None:
        device = self.device
        config, boot, switches = device.config, device.boot, device.switches
        trusted = config is not None and config.trusted_ts
        if not boot.rtc_set and (endpoint.rtc is Rtc.ALWAYS or (endpoint.rtc is Rtc.IF_TRUSTED and trusted)):
            raise Refusal(403)
        if endpoint.life is Life.INITIALISED and config is None:
            raise Refusal(409)
        if endpoint.life is Life.FRESH and config is not None:
            raise Refusal(endpoint.initialised_status)
        latched = boot.fls if switches.on(Q.TEMPERATURE_BLOCKS) else boot.fls & ~0x04
        if latched & ~endpoint.tolerates or any(device.task(name) for name in endpoint.busy):
            raise Refusal(409)

    def _run(self, endpoint: Endpoint, call: Call) -> Response:
        presence_first = endpoint.auth_first or self.device.switches.on(Q.AUTH_BEFORE_BODY)
        try:
            if presence_first:
                self._check_presence(endpoint, call)
            if endpoint.auth_first:
                self._check_scope(endpoint, call)
            self._read_body(endpoint, call)
            self._check_presence(endpoint, call)
            self._check_scope(endpoint, call)
            response = endpoint.handler(call)
        except Refusal as refusal:
            self._record(endpoint, call, refusal.response.status)
            raise
        self._record(endpoint, call, response.status)
        return response

    def _read_body(self, endpoint: Endpoint, call: Call) -> None:
        try:
            if "kid" in call.path:
                read_kid(call.path["kid"])
            if endpoint.fields is not None:
                call.body = parse_json_object(call.request.body)
                call.fields = parse_fields(endpoint.fields, call.body, call.device.switches)
        except ValueError as error:
            _LOG.debug("%s %s refused: %s", endpoint.method, endpoint.path, error)
            raise Refusal(400) from None

    def _check_presence(self, endpoint: Endpoint, call: Call) -> None:
        fresh = call.device.config is None
        required = endpoint.access is Access.BEARER or (endpoint.access is Access.UNLESS_FRESH and not fresh)
        if required and call.bearer is None:
            raise Refusal(401)

    def _check_scope(self, endpoint: Endpoint, call: Call) -> None:
        bearer = call.bearer
        if bearer is None or endpoint.access is Access.NONE:
            return
        if bearer.role in endpoint.roles and self._scope_fits(endpoint, call, bearer.scope):
            return
        call.device.log(Event.FAILED_SCOPE_CHECK, Result.FAILED, actor=bearer.sub)
        raise Refusal(403)

    def _scope_fits(self, endpoint: Endpoint, call: Call, scope: str) -> bool:
        switches = call.device.switches
        prefix = switches.on(Q.SCOPE_UNCHECKED)
        for wanted in endpoint.scopes:
            if wanted.startswith("="):
                exact = wanted[1:].replace("{kid}", _kid_text(call))
                given = scope if switches.on(Q.USE_SCOPE_CASE) else scope.lower()
                if given == exact:
                    return True
            elif scope.startswith(wanted) if prefix else scope == wanted:
                return True
        return not endpoint.scopes

    def _record(self, endpoint: Endpoint, call: Call, status: int) -> None:
        """Audit an outcome; requests without a bearer leave no record, so nobody can flood the log."""
        results: dict[int, Any] = {**_RESULTS, **endpoint.results}
        if endpoint.event is not None and call.bearer is not None and status in results:
            call.device.log(endpoint.event, Result(results[status]), actor=call.actor)


def _kid_text(call: Call) -> str:
    if "kid" in call.path:
        return call.path["kid"].lower()
    kid = call.fields.get("kid", b"")
    return kid.hex() if isinstance(kid, bytes) else ""
