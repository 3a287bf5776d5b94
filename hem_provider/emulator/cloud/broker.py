"""The notification broker: passes pairing and login requests between device, client and phone (device API
§10.6).

Its X25519 keys authenticate both sides: a request is under X25519(broker, `eid`), what a phone posts is under
X25519(broker, `aid`).
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import secrets
from typing import Any, Final

from ..device import x25519_public, x25519_secret
from ..encodings import from_b64, from_b64url, to_b64, to_b64url
from ..http import Refusal, Response, answer
from ..jwt import InvalidJwt, Jwt, decode_jwt
from .call import CloudCall

__all__ = [
    "challenge",
    "check_event",
    "check_registration",
    "delete_event",
    "delete_subscriber",
    "deny_event",
    "event_data",
    "events_of",
    "finalise",
    "key_session",
    "list_subscribers",
    "new_event",
    "new_registration",
    "new_token",
    "open_session",
    "refuse_registration",
    "reply_event",
    "reply_registration",
]

_DAY: Final = 86400
_SKEW: Final = 2
_ADDRESS: Final = {"city": "Emulated", "country": "--", "ip": "127.0.0.1"}


def _session(call: CloudCall, bound: dict[str, str]) -> dict[str, Any]:
    private = secrets.token_bytes(32)
    epk = to_b64(x25519_public(private))
    until = call.device.host_time() + _DAY
    call.records.put("session", epk, {"private": to_b64(private), **bound}, until=until)
    return {"epk": epk, "exp": int(until)}


def open_session(call: CloudCall) -> Response:
    """GET /notify/session: an anonymous key, the same for everybody for a while."""
    for epk, body in call.records.all("session").items():
        if body.get("anonymous"):
            return answer({"epk": epk, "exp": body["exp"]})
    opened = _session(call, {"anonymous": "yes"})
    call.records.change("session", opened["epk"], exp=opened["exp"])
    return answer(opened)


def key_session(call: CloudCall) -> Response:
    """POST /notify/session: a key bound to a device (`eid`) or a phone (`aid`)."""
    for name in ("eid", "aid"):
        if name in call.body:
            _key(call.text(name))
            opened = _session(call, {name: call.text(name)})
            if name == "aid":
                return answer({"epk": opened["epk"]})
            paired = any(body["eid"] == call.text(name) for body in call.records.all("subscriber").values())
            return answer({**opened, "paired": paired})
    raise Refusal(400)


def _key(text: str) -> bytes:
    try:
        key = from_b64(text)
    except ValueError:
        raise Refusal(400) from None
    if len(key) != 32:
        raise Refusal(400)
    return key


def _private(call: CloudCall, epk: str) -> tuple[bytes, dict[str, Any]]:
    """The private half of a session key of ours; 401 for another key."""
    session = call.records.get("session", epk)
    if session is None:
        raise Refusal(401)
    return from_b64(session["private"]), session


def _from_device(private: bytes, text: str) -> Jwt:
    """A token that the device made for us; 401 otherwise."""
    try:
        token = decode_jwt(text)
        if not token.is_ejwt or not token.authentic(x25519_secret(private, from_b64(token.text("iss")))):
            raise Refusal(401)
    except ValueError:
        raise Refusal(401) from None
    return token


def _mac_fits(private: bytes, peer: str, message: bytes, mac: str) -> bool:
    try:
        expected = hmac.digest(x25519_secret(private, _key(peer)), message, hashlib.sha256)
        return hmac.compare_digest(expected, from_b64(mac))
    except ValueError:
        return False


def new_registration(call: CloudCall) -> Response:
    """POST /notify/register/init: needs a key bound to this device."""
    private, session = _private(call, call.text("epk"))
    if session.get("eid") != call.text("eid"):
        raise Refusal(401)
    request = _from_device(private, call.text("request"))
    rid = secrets.token_hex(32)
    body = {
        "eid": call.text("eid"),
        "epk": call.text("epk"),
        "request": call.text("request"),
        "pid": to_b64(secrets.token_bytes(32)),
    }
    until = min(call.device.host_time() + _DAY, float(request.integer("exp")))
    call.records.put("registration", rid, body, until=until)
    host = call.request.headers.get("host", "api.encedo.com")
    return answer({"rid": rid, "link": f"https://{host}/notify/register/challenge/{rid}"})


def _registration(call: CloudCall) -> tuple[str, dict[str, Any]]:
    body = call.records.get("registration", call.path["rid"])
    if body is None or body.get("refused"):
        raise Refusal(404)
    return call.path["rid"], body


def check_registration(call: CloudCall) -> Response:
    """GET /notify/register/check/{rid}: 202 until the phone replied."""
    _, body = _registration(call)
    if "reply" not in body:
        return Response(202)
    return answer({"pid": body["pid"], "reply": body["reply"]})


def finalise(call: CloudCall) -> Response:
    """POST /notify/register/finalise/{rid}: the device's proof that it stored the phone."""
    rid, body = _registration(call)
    private, _ = _private(call, body["epk"])
    if not _mac_fits(private, body["eid"], str(body.get("reply", "")).encode(), call.text("code")):
        raise Refusal(401)
    subscriber = {name: body[name] for name in ("eid", "aid", "fid", "label")}
    call.records.put("subscriber", body["pid"], subscriber)
    call.records.remove("registration", rid)
    return Response()


def challenge(call: CloudCall) -> Response:
    """GET /notify/register/challenge/{rid}: what the phone fetches after it scanned the link."""
    _, body = _registration(call)
    return answer({"request": body["request"], "ipinfo_eid": _ADDRESS})


def reply_registration(call: CloudCall) -> Response:
    """POST /notify/register/challenge/{rid}: the phone accepts."""
    rid, body = _registration(call)
    private, _ = _private(call, body["epk"])
    message = (call.text("reply") + call.text("fid")).encode()
    if "reply" in body or not _mac_fits(private, call.text("aid"), message, call.text("mac")):
        raise Refusal(401)
    try:
        label = decode_jwt(call.text("reply")).text("label")
    except InvalidJwt:
        raise Refusal(400) from None
    changes = {name: call.text(name) for name in ("reply", "fid", "aid")}
    call.records.change("registration", rid, **changes, label=label)
    return answer({"pid": body["pid"]})


def refuse_registration(call: CloudCall) -> Response:
    """DELETE /notify/register/challenge/{rid}: the phone refuses."""
    rid, _ = _registration(call)
    call.records.change("registration", rid, refused=True)
    return Response()


def new_event(call: CloudCall) -> Response:
    """POST /notify/event/new: a login request for the phones of a device."""
    epk = call.text("epk")
    private, session = _private(call, epk)
    if "eid" in session:
        raise Refusal(404)
    request = _from_device(private, call.text("authreq"))
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
    return answer({"eventid": eventid, "sentcnt": len(reached), "ipinfo_you": _ADDRESS})


def check_event(call: CloudCall) -> Response:
    """GET /notify/event/check/{eventid}: 202 until a phone answered."""
    call.phone_checked(call.path["eventid"])
    body = call.records.get("event", call.path["eventid"])
    if body is None or body.get("cancelled"):
        raise Refusal(404)
    if body.get("denied"):
        return answer({"deny": True})
    if "authreply" in body:
        reply = {"authreply": body["authreply"], "ipinfo_aid": _ADDRESS, "ipinfo_eid": _ADDRESS}
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
    return answer({**asked, "ipinfo_eid": _ADDRESS})


def reply_event(call: CloudCall) -> Response:
    """POST /notify/event/data/{eventid}/{pidx}: the phone allows."""
    eventid, pid, body = _event(call)
    private, _ = _private(call, body["epk"])
    subscriber = call.records.get("subscriber", pid)
    message = call.text("authreply").encode()
    if subscriber is None or not _mac_fits(private, subscriber["aid"], message, call.text("mac")):
        raise Refusal(401)
    call.records.change("event", eventid, authreply=call.text("authreply"))
    return Response()


def deny_event(call: CloudCall) -> Response:
    """DELETE /notify/event/data/{eventid}/{pidx}: the phone denies."""
    eventid, _, _ = _event(call)
    call.records.change("event", eventid, denied=True)
    return Response()


def _proven(call: CloudCall, peer: str, suffix: bytes = b"") -> None:
    """The caller's MAC over its nonce, by the session key in `epk`; 401 otherwise."""
    private, _ = _private(call, call.text("epk"))
    try:
        message = from_b64(call.text("nonce")) + suffix
    except ValueError:
        raise Refusal(400) from None
    if not _mac_fits(private, peer, message, call.text("mac")):
        raise Refusal(401)


def list_subscribers(call: CloudCall) -> Response:
    """POST /notify/subscribers/list: the phones of a device that proves itself."""
    eid = call.text("eid")
    _proven(call, eid)
    phones = [
        {"pid": pid, "label": body["label"]}
        for pid, body in call.records.all("subscriber").items()
        if body["eid"] == eid
    ]
    return answer({"list": phones})


def delete_subscriber(call: CloudCall) -> Response:
    """POST /notify/subscribers/delete: unpair, by the device or by the phone."""
    subscriber = call.records.get("subscriber", call.text("pid"))
    side = "eid" if "eid" in call.body else "aid"
    if subscriber is None or subscriber[side] != call.text(side):
        raise Refusal(404)
    _proven(call, call.text(side))
    call.records.remove("subscriber", call.text("pid"))
    return Response()


def new_token(call: CloudCall) -> Response:
    """POST /notify/subscribers/token: a new push token; the MAC covers nonce and token."""
    subscriber = call.records.get("subscriber", call.text("pid"))
    if subscriber is None or subscriber["aid"] != call.text("aid"):
        raise Refusal(404)
    _proven(call, call.text("aid"), call.text("fid").encode())
    call.records.change("subscriber", call.text("pid"), fid=call.text("fid"))
    return Response()


def pid_in_path(pid: str) -> str:
    """A pairing id as it stands in a path."""
    return to_b64url(from_b64(pid))
