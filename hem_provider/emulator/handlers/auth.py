"""Local authentication: challenge, login by eJWT, issue of bearers (device API §5)."""

from __future__ import annotations

import hmac
import re
from typing import Any, Final

from hem_provider.emulator.audit import Event
from hem_provider.emulator.call import Bearer, Call
from hem_provider.emulator.device import Device, x25519_secret
from hem_provider.emulator.encodings import from_b64, to_b64
from hem_provider.emulator.http import Refusal, Response, answer
from hem_provider.emulator.jwt import BEARER_HEADER, InvalidJwt, Jwt, decode_jwt, encode_jwt
from hem_provider.emulator.nonces import LIFETIME
from hem_provider.emulator.quirks import Q
from hem_provider.emulator.state import Config

__all__ = ["challenge", "issue_bearer", "login", "open_ejwt", "read_bearer"]

_EIGHT_HOURS: Final = 8 * 3600
_MAX_SCOPE: Final = 127
_MAX_CTX: Final = 64
_QUICK, _SLOW, _FAILURES, _RECOVERY = 0.5, 1.5, 3, 15.0
_KNOWN_SCOPES: Final = re.compile(
    r"system:(config|upgrade|shutdown)|logger:get|auth:ext:pair|storage:disk[01](:rw)?"
    r"|keymgmt:(list|search|get|gen|derive|imp|upd|del|use:[0-9a-f]{32})"
)


def challenge(call: Call) -> Response:
    """GET auth/token."""
    device = call.device
    config = _configured(device)
    return answer(
        {
            "exp": device.now() + LIFETIME,
            "spk": to_b64(device.session_public),
            "jti": to_b64(device.new_nonce()),
            "lbl": config.user,
            "eid": to_b64(device.eid),
        }
    )


def _configured(device: Device) -> Config:
    if device.config is None:
        raise Refusal(409)
    return device.config


def open_ejwt(text: str, private: bytes) -> tuple[Jwt, bytes]:
    """Authenticate an eJWT under X25519(``private``, its ``iss``); returns it and the decoded ``iss``; else
    401."""
    try:
        token = decode_jwt(text)
        issuer = from_b64(token.text("iss"))
        if not token.is_ejwt or not token.authentic(x25519_secret(private, issuer)):
            raise Refusal(401)
    except ValueError:
        raise Refusal(401) from None
    return token, issuer


def _accept_proof(device: Device, text: str) -> tuple[Jwt, bytes]:
    token, issuer = open_ejwt(text, device.boot.session_private)
    now, slack = device.now(), device.switches.number(Q.IAT_SLACK)
    try:
        nonce = from_b64(token.text("jti"))
        if from_b64(token.text("aud")) != device.session_public or token.integer("exp") <= now:
            raise Refusal(401)
        if slack >= 0 and token.integer("iat") > now + slack:
            raise Refusal(401)
    except ValueError:
        raise Refusal(401) from None
    if not device.take_nonce(nonce):
        raise Refusal(401)
    return token, issuer


def _role(config: Config, issuer: bytes) -> str:
    roles = {"U": config.user_key, "M": config.master_key}
    found = [role for role, key in roles.items() if hmac.compare_digest(key, issuer)]
    if not found:
        raise Refusal(401)
    return found[0]


def _optional_text(claims: dict[str, Any], name: str, maximum: int) -> str:
    value = claims.get(name, "")
    if not isinstance(value, str) or len(value) > maximum:
        raise Refusal(401)
    return value


def login(call: Call) -> Response:
    """POST auth/token: a bearer for a proof by the user or master key; every fault is 401, answered slowly
    (§5.5)."""
    device = call.device
    delay = _delay(device)
    try:
        token, issuer = _accept_proof(device, call.get("auth", str))
        role = _role(_configured(device), issuer)
        scope = _optional_text(token.claims, "scope", _MAX_SCOPE)
        ctx = _optional_text(token.claims, "ctx", _MAX_CTX - 1)
        if not device.switches.on(Q.SCOPE_UNCHECKED) and not _KNOWN_SCOPES.fullmatch(scope):
            raise Refusal(401)
    except Refusal as refusal:
        device.change_boot(failures=device.boot.failures + 1)
        raise Refusal(refusal.response.status, delay=delay) from None
    _recover(device)
    device.log(Event.AUTH_SUCCESS_INTERNAL, actor=role)
    expires = token.integer("exp")
    if not device.switches.on(Q.EXP_UNBOUNDED):
        expires = min(expires, device.now() + _EIGHT_HOURS)
    bearer = issue_bearer(device, scope, role, expires, ctx if device.switches.on(Q.LOCAL_CTX) else "")
    return Response(body=answer({"token": bearer}).body, delay=delay)


def _delay(device: Device) -> float:
    if not device.switches.on(Q.LOGIN_THROTTLE):
        return 0.0
    slow = device.boot.failures >= _FAILURES or device.host_time() < device.boot.slow_until
    return _SLOW if slow else _QUICK


def _recover(device: Device) -> None:
    """A success after three failures ends the slow answers 15 s later."""
    if device.boot.failures >= _FAILURES:
        device.change_boot(failures=0, slow_until=device.host_time() + _RECOVERY)
    elif device.boot.failures:
        device.change_boot(failures=0)


def issue_bearer(device: Device, scope: str, sub: str, expires: int, ctx: str = "") -> str:
    """A bearer with exactly one scope, signed with the boot's key (device API §5.4)."""
    claims: dict[str, object] = {
        "scope": scope,
        "sub": sub,
        "iat": device.now(),
        "exp": expires,
        "jti": to_b64(device.new_nonce()),
    }
    if ctx:
        claims["ctx"] = ctx
    return encode_jwt(BEARER_HEADER, claims, device.boot.bearer_key)


def read_bearer(device: Device, header: str) -> Bearer:
    """The claims of an ``Authorization`` header; Refusal 401 unless it is a bearer of this boot that has not
    expired."""
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "bearer":
        raise Refusal(401)
    try:
        token = decode_jwt(text.strip())
        if (
            token.is_ejwt
            or not token.authentic(device.boot.bearer_key)
            or token.integer("exp") <= device.now()
        ):
            raise Refusal(401)
        return Bearer(token.text("scope"), token.text("sub"))
    except InvalidJwt:
        raise Refusal(401) from None
