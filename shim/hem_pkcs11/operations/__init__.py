"""Running operations: one object per ``C_*Init``, used up by the matching final call."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from hem_pkcs11.returns import BufferTooSmall

__all__ = ["MessageOperation", "Operation", "Pending", "Place", "deliver"]


class Place(enum.Enum):
    """A session's places for operations; each holds at most one."""

    FIND = "find"
    DIGEST = "digest"
    SIGN = "sign"
    VERIFY = "verify"
    ENCRYPT = "encrypt"
    DECRYPT = "decrypt"
    MESSAGE_ENCRYPT = "message encrypt"
    MESSAGE_DECRYPT = "message decrypt"
    MESSAGE_SIGN = "message sign"
    MESSAGE_VERIFY = "message verify"


class Operation(Protocol):
    """What sessions need to know of any operation."""

    def close(self) -> None:
        """Forget what was collected, overwriting it where that is possible, and let go of the key."""


@runtime_checkable
class MessageOperation(Operation, Protocol):
    """One with many messages."""

    def end_message(self) -> None:
        """Forget the message in parts that was begun, if one was."""


def deliver(size: int, room: int | None) -> bool:
    """Whether a result of exactly ``size`` bytes may be made now.

    ``room`` is the caller's buffer in bytes, ``None`` when it asks for the size: then False, and
    the operation goes on. Raises ``BufferTooSmall``, with the operation going on as well.
    """
    if room is None:
        return False
    if room < size:
        raise BufferTooSmall(size)
    return True


class Pending:
    """A result whose exact size is known only once it is made: made once, kept until it fits."""

    def __init__(self) -> None:
        self._result: bytes | None = None

    @property
    def waiting(self) -> bool:
        """Whether a result is made and not yet delivered."""
        return self._result is not None

    def deliver(self, least: int, most: int, room: int | None, make: Callable[[], bytes]) -> bytes | int:
        """The result, or its size (``most`` bytes before it is made) when only that is asked.

        Raises ``BufferTooSmall``: before anything is made when even ``least`` bytes do not fit, else
        keeping the result for another try.
        """
        if room is None:
            return most if self._result is None else len(self._result)
        if self._result is None:
            if room < least:
                raise BufferTooSmall(most)
            self._result = make()
        if room < len(self._result):
            raise BufferTooSmall(len(self._result))
        result, self._result = self._result, None
        return result
