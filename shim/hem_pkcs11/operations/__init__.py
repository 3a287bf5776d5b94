"""Running operations: one object per ``C_*Init``, used up by the matching final call."""

from __future__ import annotations

import enum
from typing import Protocol

from hem_pkcs11.returns import BufferTooSmall

__all__ = ["Operation", "Place", "deliver"]


class Place(enum.Enum):
    """A session's places for operations; each holds at most one."""

    FIND = "find"
    DIGEST = "digest"
    SIGN = "sign"
    VERIFY = "verify"


class Operation(Protocol):
    """What sessions need to know of any operation."""

    def close(self) -> None:
        """Forget what was collected, overwriting it where that is possible."""


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
