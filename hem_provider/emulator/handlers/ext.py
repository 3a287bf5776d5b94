"""The external authenticator, device side: pairing and login by phone (device API §10.2, §10.4)."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any, Final

from hem_provider.emulator import keys
from hem_provider.emulator.audit import Event, Result
from hem_provider.emulator.call import Call
from hem_provider.emulator.device import Device, x25519_secret
from hem_provider.emulator.encodings import compact_json, from_b64, to_b64
from hem_provider.emulator.fields import LABEL, Field, text
from hem_provider.emulator.handlers.auth import issue_bearer, open_ejwt
from hem_provider.emulator.handlers.keymgmt import store
from hem_provider.emulator.http import Refusal, Response, answer
from hem_provider.emulator.jwt import DEVICE_HEADER, InvalidJwt, Jwt, decode_jwt, encode_jwt
from hem_provider.emulator.keytypes import KEY_TYPES
from hem_provider.emulator.quirks import Q, Switches
from hem_provider.emulator.repository import Record
from hem_provider.emulator.sealing import seal, unseal

__all__ = ["EXTAID", "OPTIONAL", "initiate", "nobody_paired", "prove", "request", "token", "validate"]

EXTAID: Final = b"EXTAID"
#: Of a login request, and read by its handler.
OPTIONAL: Final = (Field("ctx", text(1, 64), required=False), Field("note", text(1, 128), required=False))
_MAX_PAIRED: Final = 8
_DAY, _HOUR, _QUARTER, _EIGHT_HOURS = 86400, 3600, 900, 8 * 3600
_KEY_SCOPE: Final = re.compile(r"keymgmt:use:([0-9a-f]{32})")
_SLOW: Final = 0.5


def _broker_secret(device: Device, epk: bytes) -> bytes:
    try:
        return x25519_secret(device.state.identity.private, epk)
    except ValueError:
        raise Refusal(400) from None


def initiate(call: Call) -> Response:
    """POST auth/ext/init: a pairing request for the broker; changes nothing."""
    device, epk = call.device, call.get("epk", bytes)
    claims = {
        "jti": to_b64(device.new_nonce()),
        "exp": device.now() + _DAY,
        "aud": to_b64(epk),
        "iss": to_b64(device.eid),
    }
    token = encode_jwt(DEVICE_HEADER, claims, _broker_secret(device, epk))
    return answer({"request": token, "eid": to_b64(device.eid)})


def prove(call: Call) -> Response:
    """POST auth/ext/mac: a proof of identity towards the broker."""
    device, epk = call.device, call.get("epk", bytes)
    nonce = device.new_nonce()
    mac = hmac.digest(_broker_secret(device, epk), nonce, hashlib.sha256)
    return answer({"nonce": to_b64(nonce), "mac": to_b64(mac), "eid": to_b64(device.eid)})


def _paired(device: Device) -> list[Record]:
    slots = device.repository.matching(EXTAID, at_start=True, at_end=False, limit=len(EXTAID))
    return device.repository.read(slots)


def validate(call: Call) -> Response:
    """POST auth/ext/validate: store the phone's key under the broker's pairing id."""
    device, reply = call.device, call.get("reply", str)
    token, aid = open_ejwt(reply, device.state.identity.private)
    try:
        nonce, broker = from_b64(token.text("jti")), from_b64(token.text("epk"))
        code_key = x25519_secret(device.state.identity.private, broker)
    except ValueError:
        raise Refusal(401) from None
    try:
        label = LABEL.read(token.claims.get("label"), device.switches)
    except ValueError:
        raise Refusal(400) from None
    if not device.nonces.fresh(device.boot.nonce_key, nonce, device.now(), lifetime=_DAY):
        raise Refusal(401)
    if len(_paired(device)) >= _MAX_PAIRED:
        raise Refusal(406)
    now = device.now()
    record = Record(b"", "", label, EXTAID + call.get("pid", bytes), now, now, modes=("ECDH",))
    kid = store(device, KEY_TYPES["CURVE25519"], keys.Material(b"", aid), record)
    device.take_nonce(nonce, lifetime=_DAY)
    code = hmac.digest(code_key, reply.encode(), hashlib.sha256)
    return answer({"kid": kid.hex(), "code": to_b64(code)})


def _optional(call: Call, field: Field) -> str | None:
    """What ``OPTIONAL`` accepts; anything else is dropped, or 400 with Q28 off."""
    value = call.body.get(field.name)
    if value is None:
        return None
    try:
        return str(field.read(value, call.device.switches))
    except ValueError:
        if not call.device.switches.on(Q.EXT_REQUEST_LENIENT):
            raise Refusal(400) from None
        return None


def _annotated(device: Device, scope: str) -> tuple[str, int]:
    """The scope to seal and its lifetime: a scope for one key names that key and lives shorter."""
    match = _KEY_SCOPE.fullmatch(scope)
    if match is None:
        return scope, _HOUR
    record = device.repository.find(bytes.fromhex(match[1]))
    if record is None:
        return scope, _QUARTER
    # The device's type codes are not public; these are positions in our own table.
    code = list(KEY_TYPES).index(record.type) + 1 if record.type in KEY_TYPES else 0
    note = compact_json({"t": f"{code:02x}", "l": record.label})
    return f"{scope}#{to_b64(note.encode())}", _QUARTER


def nobody_paired(switches: Switches) -> int:
    """The status of a login request without paired phones (Q28); 0: it is made all the same."""
    return 0 if switches.on(Q.EXT_REQUEST_LENIENT) else 406


def request(call: Call) -> Response:
    """POST auth/ext/request: the wanted scope, sealed for every paired phone."""
    device, epk = call.device, call.get("epk", bytes)
    secret = _broker_secret(device, epk)
    ctx, note = (_optional(call, field) for field in OPTIONAL)
    scope, seconds = _annotated(device, call.get("scope", str))
    nonce, now = device.new_nonce(), device.now()
    sealed = {
        to_b64(record.descr[len(EXTAID) :]): seal(_phone_secret(device, record), nonce, scope.encode())
        for record in _paired(device)
    }
    if not sealed and (refused := nobody_paired(device.switches)):
        raise Refusal(refused)
    claims: dict[str, Any] = {
        "iss": to_b64(device.eid),
        "aud": to_b64(epk),
        "iat": now,
        "exp": now + seconds,
        "jti": to_b64(nonce),
    }
    claims.update({name: text for name, text in (("ctx", ctx), ("note", note)) if text is not None})
    claims["scope"] = sealed
    return answer({"authreq": encode_jwt(DEVICE_HEADER, claims, secret), "epk": call.body["epk"]})


def _phone_secret(device: Device, record: Record) -> bytes:
    return x25519_secret(device.state.identity.private, record.public)


def token(call: Call) -> Response:
    """POST auth/ext/token: a bearer for a phone's approval; an approval is good once."""
    device = call.device
    try:
        return _accept(device, call.get("authreply", str))
    except Refusal as refusal:
        if device.switches.on(Q.EXT_TOKEN_SILENT):
            raise
        device.log(Event.AUTH_SUCCESS_EXTERNAL, Result.FAILED)
        raise Refusal(refusal.response.status, delay=_SLOW) from None


def _accept(device: Device, text: str) -> Response:
    try:
        reply = decode_jwt(text)
        pid, aid = from_b64(reply.text("pid")), from_b64(reply.text("iss"))
        nonce, expires, sealed = from_b64(reply.text("jti")), reply.integer("exp"), reply.text("scope")
    except ValueError:
        raise Refusal(401) from None
    record = _authenticator(device, pid, aid)
    secret = _phone_secret(device, record)
    if not reply.is_ejwt or not reply.authentic(secret):
        raise Refusal(401)
    if expires != 0 and expires <= device.now():
        raise Refusal(401)
    try:
        scope = unseal(secret, nonce, sealed).decode("utf-8").partition("#")[0]
    except ValueError:
        raise Refusal(406) from None
    if not device.take_nonce(nonce, lifetime=_HOUR):
        raise Refusal(401)
    sub = to_b64(record.kid)
    device.log(Event.AUTH_SUCCESS_EXTERNAL, actor=sub)
    until = expires or device.now() + _EIGHT_HOURS
    return answer({"token": issue_bearer(device, scope, sub, until, _ctx(reply))})


def _ctx(reply: Jwt) -> str:
    try:
        return reply.text("ctx")[:64]
    except InvalidJwt:
        return ""


def _authenticator(device: Device, pid: bytes, aid: bytes) -> Record:
    """The record of this pairing id and key; 406 when there is none. Only 32-byte ids can log in."""
    if len(pid) == 32:
        for record in device.repository.with_descr(EXTAID + pid):
            if hmac.compare_digest(record.public, aid):
                return record
    raise Refusal(406)
