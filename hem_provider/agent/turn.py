"""A device's turn among the agent's requests: first come, first served, one at a time.

Who waits is in the event loop. What waits for the device runs in one thread, which this hands each errand to
without a future or a task of ``asyncio``: on a signature those would cost as much as all else that the agent
does for it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from hem_provider.agent.signals import hold_back

__all__ = ["Errand", "Turn"]

T = TypeVar("T")


class Errand(Generic[T]):
    """``work`` runs in the device's thread when it is its turn, and ``first`` gets its result there at once.
    In the event loop follows ``settle``, whatever has become of it, before anybody else has the turn, and
    then ``tell`` with the result or the error, unless it was cancelled. ``ends`` (monotonic seconds): when it
    is told ``TimeoutError`` if its turn has not come."""

    def __init__(
        self,
        work: Callable[[], T],
        tell: Callable[[T | BaseException], object],
        *,
        first: Callable[[T], object] | None = None,
        settle: Callable[[T | BaseException], object] | None = None,
        ends: float | None = None,
    ) -> None:
        self.work = work
        self.tell: Callable[[T | BaseException], object] | None = tell
        self.first = first
        self.settle = settle
        self.ends = ends
        self.loop = asyncio.get_running_loop()
        self.late: asyncio.TimerHandle | None = None  #: while it waits

    def run(self) -> T | BaseException:
        """In the thread."""
        try:
            result = self.work()
            if self.first is not None and self.tell is not None:
                self.first(result)
        except BaseException as error:  # whoever asked decides what it means
            return error
        return result


class Turn:
    """Of the device ``name``. But for what errands do everything is called in the event loop."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._taken = False
        self._waiting: deque[Errand[Any]] = deque()
        self._given: SimpleQueue[Errand[Any] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """Errands whose turn has not come."""
        return len(self._waiting)

    def take(self, errand: Errand[Any]) -> None:
        """Run it now, or when its turn comes."""
        if not self._taken:
            self._give(errand)
            return
        self._waiting.append(errand)
        if errand.ends is not None:
            errand.late = errand.loop.call_later(errand.ends - time.monotonic(), self._late, errand)

    def cancel(self, errand: Errand[Any]) -> None:
        """Nobody waits for it any more: it loses its place. What the device has begun it ends."""
        errand.tell = None
        self._withdraw(errand)

    def _withdraw(self, errand: Errand[Any]) -> None:
        if errand in self._waiting:
            self._waiting.remove(errand)
        _stop_clock(errand)

    def _late(self, errand: Errand[Any]) -> None:
        self._withdraw(errand)
        _tell(errand, TimeoutError())

    def _give(self, errand: Errand[Any]) -> None:
        self._taken = True
        _stop_clock(errand)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"hem {self._name}", daemon=True)
            self._thread.start()
        self._given.put(errand)

    def _run(self) -> None:
        hold_back()
        while (errand := self._given.get()) is not None:
            result = errand.run()
            try:
                errand.loop.call_soon_threadsafe(self._over, errand, result)
            except RuntimeError:  # the event loop has ended, and with it everybody who waits
                return
            del errand, result  # nothing of it is kept while there is nothing to do

    def _over(self, errand: Errand[T], result: T | BaseException) -> None:
        try:
            if errand.settle is not None:
                errand.settle(result)
        finally:
            self._taken = False
            if self._waiting:
                self._give(self._waiting.popleft())
            _tell(errand, result)

    async def run(self, work: Callable[[], T]) -> T:
        """Have it run in its turn. Whoever is cancelled meanwhile loses the place."""
        return await self.wait(lambda tell: Errand(work, tell))

    async def wait(self, make: Callable[[Callable[[T | BaseException], object]], Errand[T]]) -> T:
        """The result of the errand that ``make`` makes of whom to tell. Raises its error."""
        told: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def tell(result: T | BaseException) -> None:
            if told.done():
                return
            if isinstance(result, BaseException):
                told.set_exception(result)
            else:
                told.set_result(result)

        errand = make(tell)
        self.take(errand)
        try:
            return await told
        except asyncio.CancelledError:
            self.cancel(errand)
            raise

    def close(self) -> None:
        """Begin nothing more."""
        self._waiting.clear()
        self._given.put(None)


def _stop_clock(errand: Errand[Any]) -> None:
    late, errand.late = errand.late, None
    if late is not None:
        late.cancel()


def _tell(errand: Errand[T], result: T | BaseException) -> None:
    tell, errand.tell = errand.tell, None
    if tell is not None:
        tell(result)
