"""What is done about errors, as one table: each cure at most once per operation, and logged (device API
§1.4, §20.3, §20.4). What is not here goes to the caller."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from hem_provider.errors import (
    HemAuthenticationError,
    HemClockError,
    HemError,
    HemLoginRequired,
    HemUnreachable,
)
from hem_provider.logs import INFO, Logger
from hem_provider.records import frozen, mutable
from hem_provider.rest.auth import Challenge
from hem_provider.rest.channel import Channel
from hem_provider.rest.credential import Credential
from hem_provider.rest.wire import ConnectionLostError, Request

__all__ = ["RECOVERIES", "Authorised", "Cures", "Proof", "Recovery", "Sending"]

_log = Logger("hem_provider.session")

#: A device that answered this recently is given a second chance to connect, after a pause; seconds.
_RECENTLY, _BREATH = 60.0, 0.5
#: Clocks further apart than this are a reason for a refused login, in seconds.
_DRIFT = 60.0


@mutable
class Sending:
    """A request that is being sent, in the device's turn."""

    channel: Channel
    request: Request


@mutable
class Authorised:
    """A call that is being made with a token, which is forgotten when it is refused."""

    name: str


@mutable
class Proof:
    """A login that is being proven. ``kept``: the challenge is from earlier. ``renew`` fetches another,
    ``keep`` keeps one for later; ``check_in`` takes the reason and the refusal that is to be cured."""

    challenge: Challenge | None
    kept: bool
    renew: Callable[[], Challenge]
    keep: Callable[[Challenge | None], None]
    check_in: Callable[[str, HemAuthenticationError | None], None]
    credential: Credential | None = None

    def told(self, refused: HemAuthenticationError) -> HemAuthenticationError:
        """A refusal, with what makes the secret itself doubtful."""
        doubt = self.credential.doubt if self.credential is not None else None
        if not doubt:
            return refused
        return HemAuthenticationError(f"{refused}; {doubt}").like(refused)


def _connect_again(sending: Sending, refused: HemError) -> bool:
    """Nothing was processed. A device that answered a moment ago refuses a connection now and then; one
    that is away is told at once."""
    ends = sending.request.ends or math.inf
    now = time.monotonic()
    if now - sending.channel.reached > _RECENTLY or ends - now <= _BREATH:
        return False
    _log.log(INFO, "%s; tried once more", refused)
    time.sleep(_BREATH)
    return True


def _send_again(sending: Sending, lost: HemError) -> bool:
    left = (sending.request.ends or math.inf) - time.monotonic()
    if not sending.request.repeatable or left <= sending.channel.config.spacing:
        return False
    _log.log(INFO, "%s; sent once more", lost)
    time.sleep(sending.channel.config.spacing)
    return True


def _log_in_again(made: Authorised, _: HemError) -> bool:
    """It was refused before the device did anything."""
    _log.log(INFO, "%s: a token is refused; logging in again", made.name)
    return True


def _set_clock(proof: Proof, _: HemError) -> bool:
    proof.check_in("the device's clock is not set", None)
    proof.challenge, proof.kept = None, False
    return True


def _take_another(proof: Proof, _: HemError) -> bool:
    """Perhaps the device restarted since the challenge, or somebody set its clock, be it a moment ago: a
    secret that is told as wrong is not tried again, so that is ruled out first."""
    if proof.challenge is None:
        return False
    former, proof.challenge, proof.kept = proof.challenge, proof.renew(), False
    if not proof.challenge.follows(former):
        return True
    proof.keep(proof.challenge)  # not used up: good for the next try
    return False


def _correct_clock(proof: Proof, refused: HemError) -> bool:
    if proof.challenge is None or abs(proof.challenge.offset) <= _DRIFT:
        return False
    assert isinstance(refused, HemAuthenticationError)  # noqa: S101 - the row says so
    apart = f"login refused and the clocks differ by {proof.challenge.offset:.0f} s"
    proof.check_in(apart, proof.told(refused))
    proof.challenge = None
    return True


@frozen
class Recovery:
    """At a ``stage`` (the class of what is under way), after an ``event``: a ``cure``, which tells
    whether another attempt is worth while, and what is done ``once`` by it."""

    stage: type[Sending | Authorised | Proof]
    event: type[HemError]
    cure: Callable[[Any, HemError], bool]
    once: str


RECOVERIES = (
    Recovery(Sending, HemUnreachable, _connect_again, "connecting again"),
    Recovery(Sending, ConnectionLostError, _send_again, "sending again"),
    Recovery(Authorised, HemAuthenticationError, _log_in_again, "logging in again"),
    Recovery(Proof, HemClockError, _set_clock, "checking in"),
    Recovery(Proof, HemAuthenticationError, _take_another, "another challenge"),
    Recovery(Proof, HemAuthenticationError, _correct_clock, "checking in"),
)


class Cures:
    """Those that one operation has had."""

    def __init__(self) -> None:
        self._had: set[str] = set()

    def help(self, under_way: Sending | Authorised | Proof, error: HemError) -> bool:
        """Whether something was done that makes another attempt worth while."""
        if isinstance(error, HemLoginRequired):  # a person's to cure
            return False
        for row in RECOVERIES:
            fits = isinstance(under_way, row.stage) and isinstance(error, row.event)
            if fits and row.once not in self._had and row.cure(under_way, error):
                self._had.add(row.once)
                return True
        return False
