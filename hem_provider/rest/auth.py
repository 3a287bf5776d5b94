"""Endpoint ``/api/auth/token``: challenge, and login by the local secret (device API §5)."""

from __future__ import annotations

import time

from hem_provider.config.limits import FIRMWARE_1_2_2, FirmwareLimits
from hem_provider.errors import HemAnswerFault, HemAuthenticationError, HemClockError, HemNotInitialized
from hem_provider.records import frozen
from hem_provider.rest.answer import Answer, Values
from hem_provider.rest.call import Call
from hem_provider.rest.credential import Credential
from hem_provider.rest.ejwt import make_ejwt
from hem_provider.rest.encoding import b64, unb64
from hem_provider.rest.fields import NOTHING, Asked, Field, Shape, jwt, text
from hem_provider.rest.sharedfields import B32, BEARER, CHALLENGE, CHALLENGE_SECONDS
from hem_provider.rest.status import Meanings

__all__ = [
    "Bearer",
    "Challenge",
    "Identity",
    "bearer_from",
    "challenge",
    "challenge_of",
    "identity",
    "login",
    "make_proof",
]

#: Clients date their proof back by this much, as slack.
_SLACK = 5
#: A device's clock that moved by more than this against ours was set meanwhile, in seconds.
_JUMP = 10
_PATH = "/api/auth/token"

_CHALLENGE: Meanings = {
    403: (HemClockError, "the device's clock is not set; it wants a check-in first"),
    409: (HemNotInitialized, "the device is not initialised, or in a failed state"),
}
_LOGIN: Meanings = {
    401: (HemAuthenticationError, "the device does not accept the passphrase", "E-PASSPHRASE"),
    403: _CHALLENGE[403],
}

_CHALLENGE_ANSWER = Shape((*CHALLENGE, Field("lbl", text(0, 128), needed=False)))
_IDENTITY_ANSWER = Shape((Field("eid", B32), Field("lbl", text(0, 128), needed=False)))
_LOGIN_ANSWER = Shape((Field("token", jwt(BEARER)),))


@frozen
class Identity:
    """Which device this is: ``eid`` (base64 of its 32-byte identity key) changes with a wipe;
    ``label`` is the user's name for it."""

    eid: str
    label: str


@frozen
class Challenge:
    """What the device gives to be proven against. ``received`` is local monotonic time (s);
    ``offset`` is the device's clock less ours, in seconds."""

    spk: str
    jti: str
    label: str
    eid: str
    exp: int
    received: float
    offset: float

    @property
    def age(self) -> float:
        """Seconds since it was received."""
        return time.monotonic() - self.received

    def follows(self, earlier: Challenge) -> bool:
        """Whether the device neither restarted nor had its clock set since ``earlier``."""
        jump = (self.exp - earlier.exp) - (self.received - earlier.received)
        return self.spk == earlier.spk and abs(jump) <= _JUMP

    def device_time(self) -> int:
        """Now, in the device's clock (Unix seconds)."""
        return int(self.exp - CHALLENGE_SECONDS + self.age)


@frozen
class Bearer:
    """An issued token: its text, scope, role (``sub``) and expiry in the device's clock. It dies
    with the boot it was issued in."""

    text: str
    scope: str
    subject: str
    exp: int

    def __repr__(self) -> str:
        return f"<Bearer scope={self.scope} sub={self.subject} exp={self.exp}>"


def make_proof(
    challenge: Challenge, credential: Credential, *, scope: str, exp: int, iat: int, ctx: str | None = None
) -> str:
    """The eJWT that proves ``credential`` and asks for ``scope`` until ``exp`` (device time)."""
    claims: dict[str, object] = {
        "jti": challenge.jti,
        "aud": challenge.spk,
        "exp": exp,
        "iat": iat,
        "iss": b64(credential.public),
        "scope": scope,
    }
    if ctx is not None:
        claims["ctx"] = ctx
    return make_ejwt(claims, credential.agree(unb64(challenge.spk)))


def _challenge(answer: Answer) -> Challenge:
    return challenge_of(answer, answer.optional_text("lbl") or "")


def _identity(answer: Answer) -> Identity:
    return Identity(answer.text("eid"), answer.optional_text("lbl") or "")


def _bearer(answer: Answer) -> Bearer:
    return bearer_from(answer.jwt("token").text)


def challenge() -> Call[Challenge]:
    """``GET``. ``HemClockError``: clock unset; ``HemNotInitialized``: fresh."""
    return Call(
        "GET",
        _PATH,
        _challenge,
        answer=_CHALLENGE_ANSWER,
        repeatable=True,
        meanings=_CHALLENGE,
        own_way=True,
    )


def identity() -> Call[Identity]:
    """``GET`` through an agent: who the device is, nothing to be proven against."""
    return Call(
        "GET",
        _PATH,
        _identity,
        answer=_IDENTITY_ANSWER,
        repeatable=True,
        meanings=_CHALLENGE,
        may_be_kept=True,
    )


def login(
    given: Challenge,
    credential: Credential,
    *,
    scope: str,
    lifetime: int,
    ctx: str | None = None,
    limits: FirmwareLimits = FIRMWARE_1_2_2,
) -> Call[Bearer]:
    """``POST``: a bearer for ``scope``, asked for ``lifetime`` seconds.

    ``HemAuthenticationError`` when the device does not accept the proof. ``ValueError`` for a scope that is
    too long.
    """
    if len(scope) > limits.scope:
        raise ValueError(f"scope: {len(scope)} characters; accepted: at most {limits.scope}")
    now = given.device_time()
    proof = make_proof(given, credential, scope=scope, exp=now + lifetime, iat=now - _SLACK, ctx=ctx)
    asked = Asked(scope=scope, until=now + lifetime)
    return Call(
        "POST",
        _PATH,
        _bearer,
        {"auth": proof},
        answer=_LOGIN_ANSWER,
        asked=asked,
        meanings=_LOGIN,
        is_login=True,
    )


def challenge_of(answer: Values, label: str) -> Challenge:
    """The challenge that an answer holds, which arrived just now."""
    received, exp = time.monotonic(), answer.integer("exp")
    return Challenge(
        spk=answer.text("spk"),
        jti=answer.text("jti"),
        label=label,
        eid=answer.text("eid"),
        exp=exp,
        received=received,
        offset=exp - CHALLENGE_SECONDS - time.time(),
    )


def bearer_from(token: str) -> Bearer:
    """Read what a client needs from a bearer; the device alone can verify it. ``HemAnswerFault``."""
    try:
        claims = jwt(BEARER)(token, NOTHING).claims
    except ValueError as error:
        raise HemAnswerFault(f"the device's token: {error}") from None
    return Bearer(text=token, scope=claims["scope"], subject=claims["sub"], exp=claims["exp"])
