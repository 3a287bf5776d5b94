"""Changes whose outcome is not known, found out by looking at the device (device API §20.4).

A request that changes something may be lost, or its answer may; a proxy may answer in the device's
place, or the answer may be damaged. Then the error alone says nothing about the device: ``settle``
looks, and tells success if and only if the change was made. It never asks twice for what may not be
done twice.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final, Generic, Literal, TypeVar

from hem_provider.errors import (
    HemApprovalTimeout,
    HemConnectionError,
    HemDeviceFault,
    HemError,
    HemNotInitialized,
    HemOutcomePending,
    HemOutcomeUnknown,
    HemTimeout,
    HemTLSError,
    HemUnreachable,
)
from hem_provider.logs import INFO, WARNING, Logger
from hem_provider.records import frozen
from hem_provider.rest.wire import ConnectionLostError, NoTurnError

__all__ = ["NOT_MADE", "Change", "Look", "NotMade", "UnsentError", "in_doubt", "settle"]

_log = Logger("hem_provider.device")

T = TypeVar("T")

#: From here on statuses are no refusals: the device failed on the way, or a proxy knows nothing.
_FAILED_WITHIN = 500
#: Of a proxy that did not wait for the device.
_GATEWAY_TIMEOUT = 504


class UnsentError(Exception):
    """No way was to be had, nor a login: of the change nothing has left, so that nothing is settled.
    ``error``: what the caller is told."""

    def __init__(self, error: HemError) -> None:
        super().__init__(str(error))
        self.error = error


class NotMade(enum.Enum):
    """What a look answers when the change was not made."""

    NOT_MADE = "not made"


NOT_MADE: Final = NotMade.NOT_MADE

Look = Callable[[], T | Literal[NotMade.NOT_MADE]]


@frozen
class Change(Generic[T]):
    """What a request changes, in words, and how to see whether it did.

    ``made`` and ``undone`` continue "whether …" and "…; …". ``see``: how a person sees it. ``look``
    asks the device: the call's result when the change was made, else ``NOT_MADE``; ``None`` where
    nothing tells. ``repeat``: doing it twice is no more than doing it once.
    """

    made: str
    undone: str
    see: str
    look: Look[T] | None
    repeat: bool = False


def in_doubt(error: BaseException) -> bool:
    """Whether the change that a request asked for may have been made although it ended like this.

    Not after a refusal by the device, nor when nothing was sent. TLS may also fail in the middle of
    an answer.
    """
    if isinstance(error, HemNotInitialized | HemUnreachable | NoTurnError | HemApprovalTimeout):
        return False
    if isinstance(error, HemDeviceFault):
        return error.status is None or error.status >= _FAILED_WITHIN
    return isinstance(error, HemConnectionError)


def settle(act: Callable[[], T], change: Change[T]) -> T:
    """Make the change; its result if it was made, by whichever request of ours.

    ``HemOutcomeUnknown`` says that it may have been made; any other error, that it was not.
    """
    try:
        return act()
    except HemError as error:
        if not in_doubt(error):
            raise
        first = error
    found = _found(first, change)
    if not isinstance(found, NotMade):
        return found
    if not change.repeat:
        raise _undone(first, change) from first
    _log.log(INFO, "%s; asked once more", first)
    try:
        return act()
    except HemError as error:
        if not in_doubt(error) and change.look is None:
            raise
        again = error
    # A refusal too may be the late success of the first request: "stored already", "no such key".
    late = _found(again, change, last=True)
    if not isinstance(late, NotMade):
        return late
    raise _undone(again, change) if in_doubt(again) else again


def _found(error: HemError, change: Change[T], *, last: bool = False) -> T | Literal[NotMade.NOT_MADE]:
    if change.look is None:
        if change.repeat and not last:
            return NOT_MADE  # asking again is as good as looking
        if isinstance(error, HemTLSError):
            raise error
        raise _unknown(error, change, "nothing on the device tells")
    _log.log(WARNING, "%s; looking whether %s", error, change.made)
    try:
        found = change.look()
    except HemError as blind:
        if isinstance(error, HemTLSError) and isinstance(blind, HemTLSError):
            raise error from None  # there is no TLS with this device: nothing was sent
        # Whatever its class: an outcome that is not known must not pass for a refused token or key.
        raise _unknown(error, change, str(blind)) from error
    if not isinstance(found, NotMade):
        _log.log(INFO, "%s", change.made)
    return found


def _unknown(error: HemError, change: Change[T], why: str) -> HemOutcomeUnknown:
    return HemOutcomeUnknown(f"{error}; whether {change.made} is unknown ({why}): {change.see}")


def _undone(error: HemError, change: Change[T]) -> HemError:
    if isinstance(error, HemTimeout) or error.status == _GATEWAY_TIMEOUT:
        return HemOutcomePending(f"{error}; {change.undone} so far: {change.see}")
    told = f"{error}; {change.undone}"
    if isinstance(error, ConnectionLostError):
        return HemUnreachable(told)
    return type(error)(told).like(error)
