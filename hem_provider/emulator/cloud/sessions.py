"""The broker's keys, and the proofs made with them (device API §10.6).

Its X25519 keys authenticate both sides: a request is under X25519(broker, ``eid``), what a phone posts is
under X25519(broker, ``aid``).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any, Final

from hem_provider.emulator.cloud.call import CloudCall
from hem_provider.emulator.device import x25519_public, x25519_secret
from hem_provider.emulator.encodings import from_b64, to_b64
from hem_provider.emulator.http import Refusal, Response, answer
from hem_provider.emulator.jwt import Jwt, decode_jwt

__all__ = [
    "ADDRESS",
    "DAY",
    "key_of",
    "key_session",
    "mac_fits",
    "open_session",
    "private_of",
    "token_of_device",
]

DAY: Final = 86400
ADDRESS: Final = {"city": "Emulated", "country": "--", "ip": "127.0.0.1"}
"""Where the broker believes a caller to be."""


def _session(call: CloudCall, bound: dict[str, str]) -> dict[str, Any]:
    private = secrets.token_bytes(32)
    epk = to_b64(x25519_public(private))
    until = call.device.host_time() + DAY
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
    """POST /notify/session: a key bound to a device (``eid``) or a phone (``aid``)."""
    for name in ("eid", "aid"):
        if name in call.body:
            key_of(call.text(name))
            opened = _session(call, {name: call.text(name)})
            if name == "aid":
                return answer({"epk": opened["epk"]})
            paired = any(body["eid"] == call.text(name) for body in call.records.all("subscriber").values())
            return answer({**opened, "paired": paired})
    raise Refusal(400)


def key_of(text: str) -> bytes:
    """An X25519 public key, 32 bytes, of base64; 400 for anything else."""
    try:
        key = from_b64(text)
    except ValueError:
        raise Refusal(400) from None
    if len(key) != 32:
        raise Refusal(400)
    return key


def private_of(call: CloudCall, epk: str) -> tuple[bytes, dict[str, Any]]:
    """The private half of a session key of ours; 401 for another key."""
    session = call.records.get("session", epk)
    if session is None:
        raise Refusal(401)
    return from_b64(session["private"]), session


def token_of_device(private: bytes, text: str) -> Jwt:
    """A token that the device made for us; 401 otherwise."""
    try:
        token = decode_jwt(text)
        if not token.is_ejwt or not token.authentic(x25519_secret(private, from_b64(token.text("iss")))):
            raise Refusal(401)
    except ValueError:
        raise Refusal(401) from None
    return token


def mac_fits(private: bytes, peer: str, message: bytes, mac: str) -> bool:
    """Whether ``mac`` (base64) is the HMAC-SHA256 of ``message`` under X25519(``private``, ``peer``).

    Refuses with 400 a ``peer`` that is no X25519 key.
    """
    try:
        expected = hmac.digest(x25519_secret(private, key_of(peer)), message, hashlib.sha256)
        return hmac.compare_digest(expected, from_b64(mac))
    except ValueError:
        return False
