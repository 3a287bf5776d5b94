"""What the way of entries needs to know of the form that they have."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Sequence
from typing import Protocol

from hem_provider.auditlog.entry import Entry
from hem_provider.records import frozen
from hem_provider.waiting import CLOCK

__all__ = ["FULL", "Away", "Form", "Message", "Receiver", "let_pass"]


#: Errors of a file system that room which is made meanwhile can mend.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Away(Exception):
    """A receiver cannot take anything just now; the text says why. ``back_to``: the first number that it
    may not have, though it was confirmed; ``None``: what was confirmed is there."""

    def __init__(self, text: str, back_to: int | None = None) -> None:
        super().__init__(text)
        self.back_to = back_to


@frozen
class Message:
    """An entry as it goes out, with what frames it. ``number``: that of the copy."""

    number: int
    data: bytes


@frozen
class Form:
    """How entries read at one receiver. ``encode``: an entry as bytes, with what frames it.

    In a file, where the number can be read again, each begins with ``beginning`` and ends with ``ending``;
    ``number`` finds that of the last one in bytes that end before ``ending``, from a line break on."""

    encode: Callable[[Entry], bytes]
    beginning: bytes
    ending: bytes
    number: re.Pattern[bytes]


def let_pass(seconds: float) -> None:
    """Wait."""
    for _ in CLOCK.looks(seconds, seconds):
        pass


class Receiver(Protocol):
    """What takes messages. Methods raise ``Away``, and for what no waiting mends other errors."""

    def open(self, number: int) -> int:
        """Be ready to send; ``number`` is the last that was confirmed. The number behind which to go on."""

    def send(self, messages: Sequence[Message]) -> None:
        """Hand over, and return when they are confirmed, as far as the receiver's kind can tell."""

    def idle(self, seconds: float) -> None:
        """Let time pass, and notice that the receiver goes away."""

    def finish(self) -> None:
        """Close when all has been sent, and wait until the receiver has taken it."""

    def close(self) -> None:
        """Let go, whatever has become of it. Raises nothing."""
