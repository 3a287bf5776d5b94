"""Endpoint group ``/api/auth/ext``: pairing with a phone, as user, and login by it (device API §10)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hem_provider.errors import (
    HemAuthenticationError,
    HemClockError,
    HemOperationFailed,
)
from hem_provider.records import frozen
from hem_provider.rest.agreements import echo, how_many, kid_of_sent
from hem_provider.rest.answer import Answer
from hem_provider.rest.call import Call
from hem_provider.rest.ejwt import claims_of
from hem_provider.rest.encoding import unb64
from hem_provider.rest.fields import Asked, Field, Shape, jwt, kid
from hem_provider.rest.sharedfields import B32, BEARER, TIME
from hem_provider.rest.status import Meanings

__all__ = [
    "ApprovalRequest",
    "BrokerProof",
    "PairingRequest",
    "Validation",
    "begin_pairing",
    "prove",
    "request",
    "token",
    "validate",
]

_PATH = "/api/auth/ext/"
_PAIR = ("auth:ext:pair", "system:config")
#: Longest scope, context and note, in characters; longer ones the device would drop silently.
_MAX_SCOPE, _MAX_CTX, _MAX_NOTE = 1023, 64, 128

_REQUEST: Meanings = {403: (HemClockError, "the device's clock is not set; it wants a check-in first")}
_TOKEN: Meanings = {
    **_REQUEST,
    401: (HemAuthenticationError, "the device does not accept the approval, or it was used already"),
    406: (HemAuthenticationError, "the device does not know the phone that approved"),
}
_VALIDATE: Meanings = {
    401: (HemAuthenticationError, "the device does not accept the phone's answer"),
    406: (HemOperationFailed, "this phone is paired already, or the device has no room for another (8)"),
}

_PAIRING = Shape((Field("request", jwt()), Field("eid", B32)))
_VALIDATION = Shape((Field("kid", kid), Field("code", B32)), kid_of_sent)
_PROOF = Shape((Field("nonce", B32), Field("mac", B32), Field("eid", B32)))
#: The claims of ``authreq`` (device API §10.4): at most eight phones are paired.
_APPROVAL = Shape((Field("iat", TIME), Field("exp", TIME), Field("scope", how_many(8))))
_REQUESTED = Shape((Field("authreq", jwt(_APPROVAL)), Field("epk", echo)))
_BEARER = Shape((Field("token", jwt(BEARER)),))


@frozen
class PairingRequest:
    """What the phone is to answer (an eJWT) and the device's identity."""

    request: str
    eid: str


@frozen
class Validation:
    """A paired phone: the KID of its record and the code that proves the device to the phone.
    ``raw`` goes to the broker as it is."""

    kid: str
    code: str
    raw: Mapping[str, Any]


@frozen
class BrokerProof:
    """A proof towards the broker; ``raw`` goes there as it is."""

    raw: Mapping[str, Any]


@frozen
class ApprovalRequest:
    """A login request sealed for every paired phone. ``issued`` is the device's clock (Unix s);
    ``phones``: how many are paired. ``raw`` goes to the broker as it is."""

    issued: int
    expires: int
    phones: int
    raw: Mapping[str, Any]


def _pairing(answer: Answer) -> PairingRequest:
    return PairingRequest(answer.jwt("request").text, answer.text("eid"))


def _validation(answer: Answer) -> Validation:
    return Validation(answer.text("kid"), answer.text("code"), answer.raw)


def _proof(answer: Answer) -> BrokerProof:
    return BrokerProof(answer.raw)


def _approval(answer: Answer) -> ApprovalRequest:
    claims = answer.jwt("authreq").claims
    return ApprovalRequest(
        issued=claims["iat"], expires=claims["exp"], phones=claims["scope"], raw=answer.raw
    )


def _token(answer: Answer) -> str:
    return answer.jwt("token").text


def begin_pairing(epk: str) -> Call[PairingRequest]:
    """``POST init`` with the broker's session key (base64, 32 bytes)."""
    return Call("POST", f"{_PATH}init", _pairing, {"epk": epk}, answer=_PAIRING, scopes=_PAIR)


def validate(*, pid: str, reply: str) -> Call[Validation]:
    """``POST validate``: the phone's answer, as the broker relayed it; stores the phone, whose key
    is in ``reply``."""
    return Call(
        "POST",
        f"{_PATH}validate",
        _validation,
        {"pid": pid, "reply": reply},
        answer=_VALIDATION,
        scopes=_PAIR,
        asked=Asked(public=_phone_key(reply)),
        meanings=_VALIDATE,
    )


def prove(epk: str) -> Call[BrokerProof]:
    """``POST mac``: what the broker's subscriber list wants."""
    return Call("POST", f"{_PATH}mac", _proof, {"epk": epk}, answer=_PROOF, scopes=_PAIR)


def request(
    *, epk: str, scope: str, note: str | None = None, ctx: str | None = None
) -> Call[ApprovalRequest]:
    """``POST request``: ask for a login with ``scope``; ``note`` is shown on the phone.

    ``HemClockError``: check in first. ``ValueError`` for texts the device would drop.
    """
    body = {"epk": epk, "scope": scope}
    for name, value, limit in (("note", note, _MAX_NOTE), ("ctx", ctx, _MAX_CTX)):
        if value is not None:
            _check(name, value, limit)
            body[name] = value
    _check("scope", scope, _MAX_SCOPE)
    return Call(
        "POST",
        f"{_PATH}request",
        _approval,
        body,
        answer=_REQUESTED,
        asked=Asked(echo=epk),
        meanings=_REQUEST,
    )


def token(authreply: str, *, scope: str | None = None) -> Call[str]:
    """``POST token``: the approval for a bearer, with ``scope``. An approval works once."""
    return Call(
        "POST",
        f"{_PATH}token",
        _token,
        {"authreply": authreply},
        answer=_BEARER,
        asked=Asked(scope=scope),
        meanings=_TOKEN,
        is_login=True,
    )


def _check(name: str, value: str, limit: int) -> None:
    if not 1 <= len(value) <= limit:
        raise ValueError(f"{name}: {len(value)} characters; accepted: 1 to {limit}")


def _phone_key(reply: str) -> bytes | None:
    """The X25519 key that a phone's answer brings; ``None`` where there is none: the device refuses it."""
    issuer = claims_of(reply).get("iss")
    try:
        return unb64(issuer) if isinstance(issuer, str) else None
    except ValueError:
        return None
