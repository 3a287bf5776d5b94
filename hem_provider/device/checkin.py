"""Check-in: the device's clock is set by way of its cloud service (device API §9.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from hem_provider.errors import HemClockError, HemUnreachable
from hem_provider.records import replace
from hem_provider.rest import system
from hem_provider.rest.agreements import offered
from hem_provider.rest.answer import Answer
from hem_provider.rest.api import RestApi
from hem_provider.rest.call import Call
from hem_provider.rest.fields import Field, Shape, jwt
from hem_provider.rest.settle import Change
from hem_provider.rest.system import CheckInResult

__all__ = ["Runs", "ask_cloud", "check_in", "prove"]

T = TypeVar("T")

#: What the cloud answers.
_CHECKED = Shape((Field("checked", jwt(Shape((Field("newcrt", offered, needed=False),)))),))


class Runs(Protocol):
    """Who runs calls: a ``LoginSession``."""

    @property
    def rest(self) -> RestApi:
        """The ways to the device."""

    def run(self, call: Call[T], change: Change[T] | None = None) -> T:
        """Make a call; its value."""


def check_in(session: Runs) -> CheckInResult:
    """Device → cloud → device. Three calls.

    Needs the internet, no login. ``HemUnreachable`` names the cloud when that is what fails;
    ``HemClockError`` when cloud or device reject the exchange. Where the device's last answer
    does not tell, once more from the beginning: a check-in can be done at any time.
    """
    change = Change(
        made="the device has checked in",
        undone="the device has not checked in",
        see="look at the clock in its status, or check in again",
        look=lambda: _exchange(session),
    )
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
    channel = session.rest.channel
    try:
        reply, checked = channel.cloud("POST", "/checkin", answer=_CHECKED, body=check)
    except HemUnreachable as error:
        raise HemUnreachable(f"check-in needs the cloud service: {error}") from error
    if reply.status != 200:
        raise HemClockError(
            f"check-in: the cloud service {channel.config.cloud_url} answers HTTP {reply.status}"
        )
    return checked
