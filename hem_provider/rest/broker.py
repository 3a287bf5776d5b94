"""The cloud's notification broker: carries requests to phones and answers back (device API §10.6).

It is outside the device; every call is over verified TLS, without authentication.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hem_provider.errors import (
    HemAuthenticationError,
    HemClockError,
    HemOperationFailed,
    HemProtocolError,
)
from hem_provider.records import frozen
from hem_provider.rest.agreements import decided
from hem_provider.rest.answer import Answer
from hem_provider.rest.channel import EndpointGroup
from hem_provider.rest.fields import EMPTY, Field, Shape, flag, integer, jwt, text
from hem_provider.rest.sharedfields import B32, HANDLE

__all__ = ["Approval", "BrokerApi", "PhoneAnswer", "Registration"]

_BASE = "/notify"

_LINK = text(8, 2048, pattern=r"https://[!-~]+", accepted="an https:// address")
_SESSION = Shape((Field("epk", B32),))
_REGISTERING = Shape((Field("rid", HANDLE), Field("link", _LINK)))
_ANSWERED = Shape((Field("pid", B32), Field("reply", jwt())))
_NOTIFIED = Shape((Field("eventid", HANDLE), Field("sentcnt", integer(0, 1000), needed=False)))
_DECIDED = Shape((Field("deny", flag, needed=False), Field("authreply", jwt(), needed=False)), decided)


@frozen
class Registration:
    """A pairing in progress: ``link`` goes into the QR code."""

    rid: str
    link: str


@frozen
class PhoneAnswer:
    """What the phone answered to a pairing."""

    pid: str
    reply: str


@frozen
class Approval:
    """A phone's decision on a login: ``authreply`` when allowed, ``None`` when refused."""

    authreply: str | None

    def __repr__(self) -> str:
        return f"<Approval {'allowed' if self.authreply else 'refused'}>"


class BrokerApi(EndpointGroup):
    """One method per call that a client makes."""

    def session(self, eid: str | None = None) -> str:
        """``GET session``, or ``POST`` bound to a device: a broker key (base64, 32 bytes)."""
        if eid is None:
            return self._done("GET", "/session", answer=_SESSION).text("epk")
        return self._done("POST", "/session", {"eid": eid}, answer=_SESSION).text("epk")

    def register(self, *, epk: str, eid: str, request: str) -> Registration:
        """``POST register/init``: begin a pairing; wants a key bound to ``eid``."""
        body = {"epk": epk, "eid": eid, "request": request}
        answer = self._done("POST", "/register/init", body, answer=_REGISTERING)
        return Registration(answer.text("rid"), answer.text("link"))

    def registration(self, rid: str, *, within: float = math.inf) -> PhoneAnswer | None:
        """``GET register/check``: ``None`` while the phone has not answered. ``within``: seconds left.

        ``HemOperationFailed`` when it was refused or has expired.
        """
        gone = "the pairing was refused or has expired"
        answer = self._poll("/register/check/{}", rid, _ANSWERED, gone, within)
        return None if answer is None else PhoneAnswer(answer.text("pid"), answer.jwt("reply").text)

    def finalise(self, rid: str, validation: Mapping[str, Any]) -> None:
        """``POST register/finalise``: the device's validation, as it came."""
        self._done("POST", f"/register/finalise/{rid}", validation)

    def notify(self, approval: Mapping[str, Any]) -> tuple[str, int]:
        """``POST event/new``: the device's approval request, as it came. Event id, and how many
        phones were told. ``HemClockError`` when the broker finds it issued in the future."""
        reply, answer = self._channel.cloud("POST", f"{_BASE}/event/new", answer=_NOTIFIED, body=approval)
        if reply.status == 401:
            raise HemClockError("the notification broker refuses the device's clock")
        if reply.status != 200:
            raise self._failed("/event/new", reply.status)
        return answer.text("eventid"), answer.optional_integer("sentcnt") or 0

    def approval(self, event: str, *, within: float = math.inf) -> Approval | None:
        """``GET event/check``: ``None`` while no phone has decided. ``within``: seconds left.
        ``HemOperationFailed`` when the request has expired."""
        answer = self._poll("/event/check/{}", event, _DECIDED, "the login request has expired", within)
        if answer is None:
            return None
        if answer.optional_flag("deny"):
            return Approval(None)
        return Approval(answer.jwt("authreply").text)

    def cancel(self, event: str, *, within: float = math.inf) -> None:
        """``DELETE event``: withdraw a request; one that is gone already is fine. ``within``: seconds."""
        self._channel.cloud("DELETE", f"{_BASE}/event/{event}", within=within)

    def subscribers(self, proof: Mapping[str, Any], epk: str) -> Mapping[str, Any]:
        """``POST subscribers/list``: the paired phones as the broker knows them, as it tells."""
        return self._done("POST", "/subscribers/list", {**proof, "epk": epk}).raw

    def unsubscribe(self, proof: Mapping[str, Any], *, epk: str, pid: str) -> None:
        """``POST subscribers/delete``: the broker's half of unpairing a phone; one that it does not
        know is fine."""
        path = "/subscribers/delete"
        reply, _ = self._channel.cloud("POST", _BASE + path, body={**proof, "epk": epk, "pid": pid})
        if reply.status not in (200, 404):
            raise self._failed(path, reply.status)

    def _done(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, answer: Shape = EMPTY
    ) -> Answer:
        reply, found = self._channel.cloud(method, _BASE + path, answer=answer, body=body)
        if reply.status != 200:
            raise self._failed(path, reply.status)
        return found

    def _poll(self, form: str, name: str, answer: Shape, gone: str, within: float) -> Answer | None:
        path = form.format(name)
        reply, found = self._channel.cloud(
            "GET", _BASE + path, answer=answer, form=_BASE + form, within=within
        )
        if reply.status == 202:
            return None
        if reply.status in (404, 410):
            raise HemOperationFailed(gone)
        if reply.status != 200:
            raise self._failed(path, reply.status)
        return found

    def _failed(self, path: str, status: int) -> Exception:
        kind = HemAuthenticationError if status == 401 else HemProtocolError
        error = kind(f"{self._channel.config.cloud_url}: {_BASE}{path}: HTTP {status}")
        error.status = status
        return error
