"""Login by a paired phone (device API §10.4, §20.3).

Session at the broker, request by the device, notification, waiting, approval for a token. Waiting
holds no lock, so the device serves others meanwhile.
"""

from __future__ import annotations

import time
from contextlib import suppress

from hem_provider.device.checkin import Runs, check_in
from hem_provider.errors import (
    HemApprovalDenied,
    HemApprovalTimeout,
    HemAuthenticationError,
    HemClockError,
    HemConnectionError,
)
from hem_provider.logs import WARNING, Logger
from hem_provider.records import frozen
from hem_provider.rest import external
from hem_provider.rest.external import ApprovalRequest
from hem_provider.waiting import CLOCK

__all__ = ["Approved", "MobileLogin"]

_log = Logger("hem_provider.session")

#: How far ahead of and behind our clock a request may be issued before the broker minds, seconds.
_AHEAD, _BEHIND = 2.0, -15.0
#: Longest that withdrawing a request keeps its caller, in seconds.
_WITHDRAWING = 5.0


@frozen
class Approved:
    """A token's text and the device's clock (Unix s) when it was asked for."""

    token: str
    device_time: int

    def __repr__(self) -> str:
        return "<Approved>"


class MobileLogin:
    """Asks on the phone. ``wait``: seconds for the person to decide; ``poll``: between two looks."""

    def __init__(self, session: Runs, *, wait: float = 60.0, poll: float = 2.0) -> None:
        self._session = session
        self._clock = CLOCK
        self.wait = wait
        self.poll = poll

    def obtain(self, scope: str, *, note: str | None = None) -> Approved:
        """A token for ``scope``; ``note`` is shown on the phone. ``HemApprovalDenied``,
        ``HemApprovalTimeout``, or why it could not be asked."""
        try:
            request, event = self._ask(scope, note)
        except HemClockError as wrong:
            _log.log(WARNING, "%s; checking in", wrong)
            check_in(self._session)
            request, event = self._ask(scope, note)
        started = self._clock.now()
        authreply = self._decision(event)
        token = self._session.run(external.token(authreply, scope=scope))
        return Approved(token, request.issued + int(self._clock.now() - started))

    def _ask(self, scope: str, note: str | None) -> tuple[ApprovalRequest, str]:
        epk = self._session.rest.broker.session()
        request = self._session.run(external.request(epk=epk, scope=scope, note=note))
        name = self._session.rest.channel.config.name
        if request.phones == 0:
            raise HemApprovalDenied(f"{name}: no phone is paired with the device", code="E-NO-PHONE")
        drift = request.issued - time.time()
        try:
            event, told = self._session.rest.broker.notify(request.raw)
        except HemClockError:
            if not _BEHIND <= drift <= _AHEAD:
                raise
            raise HemAuthenticationError(f"{name}: the notification broker refuses the request") from None
        if told == 0:
            _log.log(WARNING, "%s: no phone could be told; open the app on one", name)
        return request, event

    def _decision(self, event: str) -> str:
        try:
            for left in self._clock.looks(self.wait, self.poll):
                approval = self._session.rest.broker.approval(event, within=left)
                if approval is not None:
                    if approval.authreply is None:
                        raise HemApprovalDenied("the login was refused on the phone")
                    return approval.authreply
        except BaseException as error:
            if not isinstance(error, HemApprovalDenied):
                self._withdraw(event)
            raise
        self._withdraw(event)
        raise HemApprovalTimeout(f"nobody answered on a phone within {self.wait:g} s")

    def _withdraw(self, event: str) -> None:
        with suppress(HemConnectionError):
            self._session.rest.broker.cancel(event, within=_WITHDRAWING)
