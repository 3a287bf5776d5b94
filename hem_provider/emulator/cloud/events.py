"""Login requests on their way from a client to the phones, and the answers back (device API §10.5, §10.6)."""

from __future__ import annotations

import datetime
import secrets
from typing import Any, Final

from hem_provider.emulator.cloud.call import CloudCall
from hem_provider.emulator.cloud.sessions import ADDRESS, mac_fits, private_of, token_of_device
from hem_provider.emulator.encodings import from_b64, from_b64url, to_b64, to_b64url
from hem_provider.emulator.http import Refusal, Response, answer
from hem_provider.emulator.jwt import InvalidJwt

__all__ = [
    "check_event",
    "delete_event",
    "deny_event",
    "event_data",
    "events_of",
    "new_event",
    "pid_in_path",
    "reply_event",
]

_SKEW: Final = 2
"""Seconds by which a request may be ahead of the broker's clock."""


def new_event(call: CloudCall) -> Response:
    """POST /notify/event/new: a login request for the phones of a device."""
    epk = call.text("epk")
    private, session = private_of(call, epk)
    if "eid" in session:
        raise Refusal(404)
    request = token_of_device(private, call.text("authreq"))
    now = call.device.host_time()
    try:
        issued, expires = request.integer("iat"), request.integer("exp")
    except InvalidJwt:
        raise Refusal(400) from None
    if issued > now + _SKEW:
        stamp = datetime.datetime.fromtimestamp(issued, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
        return answer({"err": f"Cannot handle token prior to {stamp}"}, status=401)
    scopes = request.claims.get("scope")
    subscribers = call.records.all("subscriber")
    reached = [pid for pid in (scopes if isinstance(scopes, dict) else {}) if pid in subscribers]
    eventid = secrets.token_hex(16)
    body = {
        "epk": epk,
        "jti": request.claims.get("jti"),
        "exp": expires,
        "scope": {pid: request.claims["scope"][pid] for pid in reached},
        "note": request.claims.get("note"),
    }
    call.records.put("event", eventid, body, until=max(now, float(expires)))
    call.phone_woken(eventid, reached)
    return answer({"eventid": eventid, "sentcnt": len(reached), "ipinfo_you": ADDRESS})


def check_event(call: CloudCall) -> Response:
    """GET /notify/event/check/{eventid}: 202 until a phone answered."""
    call.phone_checked(call.path["eventid"])
    body = call.records.get("event", call.path["eventid"])
    if body is None or body.get("cancelled"):
        raise Refusal(404)
    if body.get("denied"):
        return answer({"deny": True})
    if "authreply" in body:
        reply = {"authreply": body["authreply"], "ipinfo_aid": ADDRESS, "ipinfo_eid": ADDRESS}
        return answer(reply)
    return Response(202)


def delete_event(call: CloudCall) -> Response:
    """DELETE /notify/event/{eventid}: the requester gives up."""
    if call.records.get("event", call.path["eventid"]) is None:
        raise Refusal(404)
    call.records.change("event", call.path["eventid"], cancelled=True)
    return Response()


def events_of(call: CloudCall) -> Response:
    """POST /notify/event/data/allbypid: open events of some pairings; an empty set is an array."""
    wanted = call.body.get("pid")
    if not isinstance(wanted, list):
        raise Refusal(400)
    found = {
        eventid: [pid for pid in wanted if isinstance(pid, str) and pid in body["scope"]]
        for eventid, body in call.records.all("event").items()
        if not any(body.get(state) for state in ("cancelled", "denied", "authreply"))
    }
    found = {eventid: pids for eventid, pids in found.items() if pids}
    return answer({"eventid": found or []})


def _event(call: CloudCall) -> tuple[str, str, dict[str, Any]]:
    """The event of a phone call and its pairing id: 404 expired, 410 cancelled or answered."""
    eventid = call.path["eventid"]
    body = call.records.get("event", eventid)
    try:
        pid = to_b64(from_b64url(call.path["pidx"]))
    except ValueError:
        raise Refusal(404) from None
    if body is None or pid not in body["scope"]:
        raise Refusal(404)
    if body.get("cancelled"):
        raise Refusal(410, body=b'{"reason":"cancelled"}')
    if body.get("denied") or "authreply" in body:
        raise Refusal(410)
    return eventid, pid, body


def event_data(call: CloudCall) -> Response:
    """GET /notify/event/data/{eventid}/{pidx}: what one phone is asked."""
    _, pid, body = _event(call)
    asked = {"jti": body["jti"], "scope": body["scope"][pid], "epk": body["epk"], "exp": body["exp"]}
    return answer({**asked, "ipinfo_eid": ADDRESS})


def reply_event(call: CloudCall) -> Response:
    """POST /notify/event/data/{eventid}/{pidx}: the phone allows."""
    eventid, pid, body = _event(call)
    private, _ = private_of(call, body["epk"])
    subscriber = call.records.get("subscriber", pid)
    message = call.text("authreply").encode()
    if subscriber is None or not mac_fits(private, subscriber["aid"], message, call.text("mac")):
        raise Refusal(401)
    call.records.change("event", eventid, authreply=call.text("authreply"))
    return Response()


def deny_event(call: CloudCall) -> Response:
    """DELETE /notify/event/data/{eventid}/{pidx}: the phone denies."""
    eventid, _, _ = _event(call)
    call.records.change("event", eventid, denied=True)
    return Response()


def pid_in_path(pid: str) -> str:
    """A pairing id as it stands in a path."""
    return to_b64url(from_b64(pid))
