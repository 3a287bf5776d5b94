"""How long one request may take: one monotonic deadline for all of it, and a nearer one while connecting.

Whatever waits on the network asks ``left()`` before each step, so that a peer which sends a byte now
and then gains nothing by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from hem_provider.rest.wire import MAX_ANSWER, Limit

__all__ = ["MOST_RECEIVED", "AnswerTooLargeError", "Deadline"]

#: Bytes taken from the network for one answer: its body, and everything a peer may put around it.
MOST_RECEIVED = MAX_ANSWER + 8 * 1024 * 1024


class AnswerTooLargeError(OSError):
    """The peer has sent more than any answer takes."""


class Deadline:
    """Of one request that begins now. ``ends``: when all must be over, where that was settled before.

    ``stage`` says what is waited for; ``limit`` is the bound that would be met next. ``leaves`` is called
    when the peer is about to be spoken to.
    """

    def __init__(
        self,
        whole: Limit,
        connecting: Limit,
        *,
        ends: float | None = None,
        leaves: Callable[[], object] | None = None,
    ) -> None:
        now = time.monotonic()
        self._ends = now + whole.seconds if ends is None else ends
        self._reached_by = min(now + connecting.seconds, self._ends)
        self._whole = whole
        self._connecting: Limit | None = connecting
        self._received = 0
        self._leaves = leaves
        self.stage = "connection"

    @property
    def connecting(self) -> bool:
        """Whether nothing of the request has left yet."""
        return self._connecting is not None

    @property
    def limit(self) -> Limit:
        """The bound that holds now."""
        if self._connecting is not None and self._reached_by < self._ends:
            return self._connecting
        return self._whole

    def connected(self) -> None:
        """The peer is reached: from here on the request may be on its way."""
        self._connecting = None
        self.stage = "answer"
        self._speak()

    def greets(self) -> None:
        """The peer is there, and the handshake begins."""
        self.stage = "TLS handshake"
        self._speak()

    def _speak(self) -> None:
        leaves, self._leaves = self._leaves, None
        if leaves is not None:
            leaves()

    def left(self) -> float:
        """Seconds until the bound, more than 0; ``TimeoutError`` once it is met."""
        ends = self._ends if self._connecting is None else self._reached_by
        left = ends - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no {self.stage} within {self.limit}")
        return left

    def received(self, count: int) -> None:
        """Note ``count`` bytes from the peer; ``AnswerTooLargeError`` when it sends without end."""
        self._received += count
        if self._received > MOST_RECEIVED:
            raise AnswerTooLargeError(f"more than {MOST_RECEIVED} bytes")
