"""Check-in: the device's clock is set by way of its cloud service (device API §9.1).

At once, or in three parts where no computer sees both: ``begin`` and ``finish`` one that sees the device,
``carry`` one that is online. What passes between them is text in files, which is no secret.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from hem_provider.errors import HemAnswerFault, HemClockError, HemConfigError, HemUnreachable
from hem_provider.logs import INFO, Logger
from hem_provider.records import replace
from hem_provider.rest import system
from hem_provider.rest.agreements import offered
from hem_provider.rest.answer import Answer
from hem_provider.rest.api import RestApi
from hem_provider.rest.auth import Identity
from hem_provider.rest.call import Call
from hem_provider.rest.encoding import parse_json
from hem_provider.rest.fields import NOTHING, Field, Jwt, Shape, jwt, read_fields, text
from hem_provider.rest.settle import Change
from hem_provider.rest.system import CheckInResult

__all__ = [
    "LARGEST",
    "Runs",
    "ask_cloud",
    "begin",
    "carry",
    "check_in",
    "finish",
    "identified",
    "offered_in",
    "prove",
]

T = TypeVar("T")
_log = Logger("hem_provider.session")

#: Largest file that is carried, in bytes.
LARGEST = 64 * 1024
_NONCE = Field("jti", text(1, 64))
#: How often a check-in is begun, and what the device answers to one that it rejects.
_TRIES, _REJECTED = 3, 401
#: What the device says, and what the cloud answers.
_CHALLENGE = Shape((Field("check", jwt(Shape((_NONCE,)))),))
_CHECKED = Shape((Field("checked", jwt(Shape((Field("newcrt", offered, needed=False),)))),))
_ANSWER = Shape((Field("checked", jwt(Shape((_NONCE, Field("newcrt", offered, needed=False))))),))


class Runs(Protocol):
    """Who runs calls: a ``LoginSession``."""

    @property
    def rest(self) -> RestApi:
        """The ways to the device."""

    def run(self, call: Call[T], change: Change[T] | None = None) -> T:
        """Make a call; its value."""


class Asked(Protocol):
    """Who is asked for the device: a ``Hem``."""

    def probe(self) -> Identity:
        """Who the device is."""

    def check_in(self) -> CheckInResult:
        """Set its clock."""


def identified(hem: Asked) -> Identity:
    """Who the device is now, by one call. One that has lost its clock, as each restart does to it, says so
    only after a check-in. Raises as both do."""
    try:
        return hem.probe()
    except HemClockError as unset:
        _log.log(INFO, "%s; checking in", unset)
        hem.check_in()
        return hem.probe()


def check_in(session: Runs) -> CheckInResult:
    """Device → cloud → device. Three calls.

    Needs the internet, no login. ``HemUnreachable`` names the cloud when that is what fails;
    ``HemClockError`` when cloud or device reject the exchange. Where the device's last answer
    does not tell, once more from the beginning: a check-in can be done at any time. So it is, twice more at
    most, where the device rejects the cloud's answer: after a restart many programs check in at once, and
    what one of them began is of no use when another has set the clock meanwhile.
    """
    change = Change(
        made="the device has checked in",
        undone="the device has not checked in",
        see="look at the clock in its status, or check in again",
        look=lambda: _exchange(session),
    )
    for _ in range(_TRIES - 1):
        try:
            return _exchange(session, change)
        except HemClockError as error:
            if error.status != _REJECTED:  # the cloud's
                raise
            _log.log(INFO, "%s; checking in again", error)
    return _exchange(session, change)


def _exchange(session: Runs, change: Change[CheckInResult] | None = None) -> CheckInResult:
    checked = _asked(session)
    done = session.run(system.finish_check_in(checked.raw), change)
    from hem_provider.device.cache import DiskCache  # most logins need no check-in

    DiskCache(session.rest.channel.config.url).note_check_in()
    return replace(done, new_certificate=checked.jwt("checked").claims["newcrt"])


def _asked(session: Runs) -> Answer:
    """What the cloud answers to what the device says."""
    return ask_cloud(session, prove(session))


def prove(session: Runs) -> Mapping[str, Any]:
    """What the device says to the cloud: one call, which changes nothing."""
    return session.run(system.begin_check_in())


def ask_cloud(session: Runs, check: Mapping[str, Any]) -> Answer:
    """What the cloud answers to ``check``: one call, of which the device learns nothing yet.

    ``HemUnreachable`` names the cloud; ``HemClockError`` when it rejects what the device says.
    """
    return _told(session.rest, check)


def _told(rest: RestApi, check: Mapping[str, Any]) -> Answer:
    channel = rest.channel
    try:
        reply, checked = channel.cloud("POST", "/checkin", answer=_CHECKED, body=check)
    except HemUnreachable as error:
        raise HemUnreachable(f"check-in needs the cloud service: {error}", code="E-CLOUD") from error
    if reply.status != 200:
        raise HemClockError(
            f"check-in: the cloud service {channel.config.cloud_url} answers HTTP {reply.status}"
        )
    return checked


def begin(session: Runs) -> bytes:
    """What the cloud is to be told, as a line of JSON. One call, no login. The device takes an answer to it
    for a minute."""
    return _line(prove(session))


def carry(rest: RestApi, challenge: bytes) -> bytes:
    """What the cloud answers to ``begin``'s ``challenge``, as a line of JSON. The device is not asked.

    ``HemConfigError`` for what is no challenge; ``HemAnswerFault`` when the answer is to another one;
    ``HemUnreachable`` and ``HemClockError`` as ``check_in``.
    """
    raw, asked = _parsed(challenge, _CHALLENGE, "a challenge")
    answer = _told(rest, raw)
    line = _line(answer.raw)
    _, answered = _parsed(line, _ANSWER, "an answer")
    if answered.claims["jti"] != asked.claims["jti"]:
        raise HemAnswerFault(f"{rest.channel.config.cloud_url}: the answer is to another challenge")
    return line


def finish(session: Runs, answer: bytes) -> CheckInResult:
    """Give the device ``carry``'s ``answer``, which sets its clock. One call, no login.

    ``HemConfigError`` for what is no answer; ``HemClockError`` when the device rejects it: it is to
    another challenge, or came late.
    """
    raw, checked = _parsed(answer, _ANSWER, "an answer")
    change: Change[CheckInResult] = Change(
        made="the device has checked in",
        undone="the device has not checked in",
        see="look at the clock in its status",
        look=None,
    )
    done = session.run(system.finish_check_in(raw), change)
    return replace(done, new_certificate=checked.claims["newcrt"])


def offered_in(answer: bytes) -> bytes | None:
    """The certificate chain (concatenated DER, leaf first) that ``carry``'s ``answer`` holds, if any.

    Whether it is the cloud's only the device can tell. ``HemConfigError`` for what is no answer.
    """
    chain: bytes | None = _parsed(answer, _ANSWER, "an answer")[1].claims["newcrt"]
    return chain


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(value), separators=(",", ":"), ensure_ascii=False).encode("utf-8") + b"\n"


def _parsed(data: bytes, shape: Shape, what: str) -> tuple[Mapping[str, Any], Jwt]:
    """The object as it came, and its one JWT."""
    if len(data) > LARGEST:
        raise HemConfigError(f"this is not {what} of a check-in: it has over {LARGEST} bytes")
    try:
        raw = parse_json(data)
    except ValueError:
        raise HemConfigError(
            f"this is not {what} of a check-in: {len(data)} bytes that are not JSON"
        ) from None
    if not isinstance(raw, dict):
        raise HemConfigError(f"this is not {what} of a check-in: no JSON object")
    try:
        (found,) = read_fields(raw, shape, NOTHING).values()
    except ValueError as error:
        raise HemConfigError(f"this is not {what} of a check-in: {error}") from None
    assert isinstance(found, Jwt)  # noqa: S101 - its shape says so
    return raw, found
