"""What travels between the client and one device: a request, a reply, and whoever carries them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import IO, Protocol

from hem_provider.errors import HemProtocolError, HemTimeout
from hem_provider.records import field, frozen

__all__ = ["MAX_ANSWER", "ConnectionLostError", "Limit", "NoTurnError", "Reply", "Request", "Transport"]

#: Largest answer taken, in bytes. Log files are the largest answers of a device.
MAX_ANSWER = 64 * 1024 * 1024


class ConnectionLostError(HemProtocolError):
    """The connection ended after the request had left and before the whole answer was here.

    Whether the device carried the request out is unknown. ``begun``: the head of the answer had come.
    """

    begun = False


class NoTurnError(HemTimeout):
    """The device's turn did not come: nothing was sent."""


@frozen
class Limit:
    """A bound in seconds, and what it is called where a user meets it."""

    seconds: float
    name: str = "timeout"

    def __str__(self) -> str:
        return f"{self.seconds:g} s ({self.name})"


@frozen
class Request:
    """One request. ``body`` is bytes, or a readable with ``__len__`` for an upload.

    ``limit`` is for all of it: connecting, sending, the whole answer. ``ends``: when that is over
    (monotonic time), where it has begun already; ``None``: as of now.
    ``repeatable``: it does no harm twice, so that it may go over a connection that was kept and may
    turn out to be dead; any other gets a connection of its own. ``leaves`` is called when it, or what
    must go before it, is about to leave.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)  # holds the bearer
    body: bytes | IO[bytes] | None = field(repr=False)
    limit: Limit
    repeatable: bool = False
    ends: float | None = None
    leaves: Callable[[], object] | None = field(default=None, repr=False)


@frozen
class Reply:
    """One complete answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)  # may hold a token or a secret


class Transport(Protocol):
    """Carries requests to one host, one at a time. Used by one process only."""

    def send(self, request: Request) -> Reply:
        """Raises ``HemUnreachable``, ``HemTLSError``, ``HemTimeout`` or ``ConnectionLostError``, and
        ``HemProtocolError`` for an answer without end."""

    def close(self) -> None:
        """Drop connections; a later ``send`` opens them anew."""
