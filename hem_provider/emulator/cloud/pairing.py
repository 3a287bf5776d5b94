"""Pairing through the broker, and what becomes of pairings later (device API §10.3, §10.6)."""

from __future__ import annotations

import secrets
from typing import Any

from hem_provider.emulator.cloud.call import CloudCall
from hem_provider.emulator.cloud.sessions import ADDRESS, DAY, mac_fits, private_of, token_of_device
from hem_provider.emulator.encodings import from_b64, to_b64
from hem_provider.emulator.http import Refusal, Response, answer
from hem_provider.emulator.jwt import InvalidJwt, decode_jwt

__all__ = [
    "challenge",
    "check_registration",
    "delete_subscriber",
    "finalise",
    "list_subscribers",
    "new_registration",
    "new_token",
    "refuse_registration",
    "reply_registration",
]


def new_registration(call: CloudCall) -> Response:
    """POST /notify/register/init: needs a key bound to this device."""
    private, session = private_of(call, call.text("epk"))
    if session.get("eid") != call.text("eid"):
        raise Refusal(401)
    request = token_of_device(private, call.text("request"))
    rid = secrets.token_hex(32)
    body = {
        "eid": call.text("eid"),
        "epk": call.text("epk"),
        "request": call.text("request"),
        "pid": to_b64(secrets.token_bytes(32)),
    }
    until = min(call.device.host_time() + DAY, float(request.integer("exp")))
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
    private, _ = private_of(call, body["epk"])
    if not mac_fits(private, body["eid"], str(body.get("reply", "")).encode(), call.text("code")):
        raise Refusal(401)
    subscriber = {name: body[name] for name in ("eid", "aid", "fid", "label")}
    call.records.put("subscriber", body["pid"], subscriber)
    call.records.remove("registration", rid)
    return Response()


def challenge(call: CloudCall) -> Response:
    """GET /notify/register/challenge/{rid}: what the phone fetches after it scanned the link."""
    _, body = _registration(call)
    return answer({"request": body["request"], "ipinfo_eid": ADDRESS})


def reply_registration(call: CloudCall) -> Response:
    """POST /notify/register/challenge/{rid}: the phone accepts."""
    rid, body = _registration(call)
    private, _ = private_of(call, body["epk"])
    message = (call.text("reply") + call.text("fid")).encode()
    if "reply" in body or not mac_fits(private, call.text("aid"), message, call.text("mac")):
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


def _proven(call: CloudCall, peer: str, suffix: bytes = b"") -> None:
    """The caller's MAC over its nonce, by the session key in ``epk``; 401 otherwise."""
    private, _ = private_of(call, call.text("epk"))
    try:
        message = from_b64(call.text("nonce")) + suffix
    except ValueError:
        raise Refusal(400) from None
    if not mac_fits(private, peer, message, call.text("mac")):
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
