"""Requests of others, sent to the device with this session's login: the agent's way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hem_provider.device.hem import Hem
from hem_provider.errors import HemError
from hem_provider.rest.call import Call
from hem_provider.rest.wire import ConnectionLostError, Limit, NoTurnError, Reply

__all__ = ["Relay", "Reply", "name_of"]


class Relay:
    """One device, reached with the login of ``hem``, its recoveries and its turn. Safe for threads."""

    def __init__(self, hem: Hem) -> None:
        self._hem = hem

    def holds(self, scopes: Sequence[str]) -> bool:
        """Whether a token for one of ``scopes`` is at hand, so that no login is needed. No I/O."""
        return not scopes or self._hem.session.holds(scopes)

    def authorise(self, scopes: Sequence[str]) -> None:
        """Obtain a token for the first of ``scopes`` where none is at hand. Raises as a login does."""
        self._hem.session.bearer(scopes)

    def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        *,
        scopes: Sequence[str],
        within: float,
        repeatable: bool,
    ) -> Reply:
        """The device's answer to one request, whatever its status, in at most ``within`` seconds.

        ``body`` becomes JSON. ``scopes``: a token for any of them will do; none: no token is sent.
        Raises what the way to the device and a login raise.
        """
        call: Call[Reply] = Call(
            method,
            path,
            _never_read,
            body,
            scopes=tuple(scopes),
            repeatable=repeatable,
            limit=Limit(within, "what the caller allows"),
            tls_only=bool(scopes),
            is_relayed=True,
        )
        return self._hem.session.run(call)


def _never_read(_: object) -> Reply:
    raise AssertionError("a relayed reply is not read")


def name_of(error: HemError) -> str:
    """What the error is called between an agent and its client."""
    if isinstance(error, ConnectionLostError | NoTurnError):
        return type(error).__name__
    return next(each.__name__ for each in type(error).__mro__ if each.__module__ == HemError.__module__)
