"""The cloud as one service: a table of routes over the same state file as the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from hem_provider.emulator.cloud import events, pairing, register, sessions
from hem_provider.emulator.cloud.backend import checkin, knows
from hem_provider.emulator.cloud.call import CloudCall
from hem_provider.emulator.cloud.phone import Phone
from hem_provider.emulator.cloud.records import Records
from hem_provider.emulator.device import Device
from hem_provider.emulator.encodings import compact_json, parse_json_object
from hem_provider.emulator.http import Refusal, Request, Response
from hem_provider.emulator.router import Router
from hem_provider.emulator.wsgiclient import Reply

__all__ = ["ROUTES", "Cloud"]

_BODY_LIMIT: Final = 1 << 16

_Handler = Callable[[CloudCall], Response]

ROUTES: Final[tuple[tuple[str, str, _Handler], ...]] = (
    ("POST", "/checkin", checkin),
    ("POST", "/domain/register/{prefix}", register.register_prefix),
    ("POST", "/domain/register/{prefix}/{authkey}", register.register_prefix),
    ("GET", "/domain/register/{prefix}", register.registration_result),
    ("GET", "/domain/check/{prefix}", register.check_prefix),
    ("GET", "/notify/session", sessions.open_session),
    ("POST", "/notify/session", sessions.key_session),
    ("POST", "/notify/register/init", pairing.new_registration),
    ("GET", "/notify/register/check/{rid}", pairing.check_registration),
    ("POST", "/notify/register/finalise/{rid}", pairing.finalise),
    ("GET", "/notify/register/challenge/{rid}", pairing.challenge),
    ("POST", "/notify/register/challenge/{rid}", pairing.reply_registration),
    ("DELETE", "/notify/register/challenge/{rid}", pairing.refuse_registration),
    ("POST", "/notify/event/new", events.new_event),
    ("GET", "/notify/event/check/{eventid}", events.check_event),
    ("DELETE", "/notify/event/{eventid}", events.delete_event),
    ("POST", "/notify/event/data/allbypid", events.events_of),
    ("GET", "/notify/event/data/{eventid}/{pidx}", events.event_data),
    ("POST", "/notify/event/data/{eventid}/{pidx}", events.reply_event),
    ("DELETE", "/notify/event/data/{eventid}/{pidx}", events.deny_event),
    ("POST", "/notify/subscribers/list", pairing.list_subscribers),
    ("POST", "/notify/subscribers/delete", pairing.delete_subscriber),
    ("POST", "/notify/subscribers/token", pairing.new_token),
)


class Cloud:
    """Answers requests to ``api.encedo.com``."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.others: tuple[Cloud, ...] = ()
        """Those of the same backend: each answers the check-ins of all, with the orders of all."""
        self.records = Records(device)
        self._router: Router[_Handler] = Router(ROUTES)

    def body_limit(self, method: str, path: str) -> int:  # noqa: ARG002 - one limit for all
        """64 KiB for every endpoint."""
        return _BODY_LIMIT

    def chunked_allowed(self) -> bool:
        """Chunked bodies are taken everywhere."""
        return True

    def respond(self, request: Request, *, framing: Refusal | None = None) -> Response:
        """Answer one request: 404 for unknown paths, 400 for a body that is no JSON object."""
        whose, orders = self._whose(request)
        return whose._answer(request, framing, orders)

    def _whose(self, request: Request) -> tuple[Cloud, dict[str, str]]:
        """Who answers, and what is ordered by instance id. One device is looked at after the other, so that
        nobody waits for a second while it holds a first."""
        whose: Cloud = self
        orders: dict[str, str] = {}
        for cloud in (self, *self.others) if request.path == "/checkin" else ():
            with cloud.device.transaction():
                orders.update(cloud.device.state.knobs.orders)
                if self.others and whose is self and knows(cloud.device, request.body):
                    whose = cloud
        return whose, orders

    def _answer(self, request: Request, framing: Refusal | None, orders: dict[str, str]) -> Response:
        with self.device.transaction():
            try:
                if framing is not None:
                    raise framing
                return self._handle(request, orders)
            except Refusal as refusal:
                return refusal.response

    def _handle(self, request: Request, orders: dict[str, str]) -> Response:
        if self.device.has_condition("cloud-down"):
            raise ConnectionRefusedError("the emulated cloud does not answer")
        found = self._router.find(request.method, request.path)
        if found is None:
            raise Refusal(404)
        handler, path = found
        body: dict[str, Any] = {}
        if request.body:
            try:
                body = parse_json_object(request.body)
            except ValueError:
                raise Refusal(400) from None
        phone = self.phone()
        return handler(
            CloudCall(self.device, request, path, body, self.records, phone.pushed, phone.act, orders)
        )

    def phone(self) -> Phone:
        """The simulated phone, which reaches this cloud; inside a transaction of the device."""
        return Phone(self.records, self._send, self.device.host_time())

    def _send(self, method: str, path: str, body: object = None) -> Reply:
        content = b"" if body is None else compact_json(body).encode()
        response = self.respond(Request(method, path, body=content))
        return Reply(response.status, {}, response.body)
