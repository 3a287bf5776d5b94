"""A device's turn among the agent's requests: first come, first served, one at a time.

Who waits is in the event loop. What waits for the device runs in one thread, which this hands each errand to
without a future or a task of ``asyncio``: on a signature those would cost as much as all else that the agent
does for it. Where many wait, the thread goes on with the next one by itself: the device does not wait for
the event loop.
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
    In the event loop follow ``settle``, where there is one, whatever has become of it, before anybody else
    has the turn, and then ``tell`` with the result or the error, unless it was cancelled. ``ends`` (monotonic
    seconds): when it is told ``TimeoutError`` if its turn has not come."""

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
        self._guard = threading.Lock()  # of the two that follow
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
        with self._guard:
            waits = self._taken
            self._taken = True
            if waits:
                self._waiting.append(errand)
                if errand.ends is not None:
                    errand.late = errand.loop.call_later(errand.ends - time.monotonic(), self._late, errand)
        if not waits:
            self._give(errand)

    def cancel(self, errand: Errand[Any]) -> None:
        """Nobody waits for it any more: it loses its place. What the device has begun it ends."""
        errand.tell = None
        self._withdraw(errand)
        _stop_clock(errand)

    def _withdraw(self, errand: Errand[Any]) -> bool:
        """Whether it was waiting still."""
        with self._guard:
            waited = errand in self._waiting
            if waited:
                self._waiting.remove(errand)
        return waited

    def _late(self, errand: Errand[Any]) -> None:
        if self._withdraw(errand):
            _tell(errand, TimeoutError())

    def _give(self, errand: Errand[Any]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"hem {self._name}", daemon=True)
            self._thread.start()
        self._given.put(errand)

    def _next(self) -> Errand[Any] | None:
        """Who has waited for longest, or nobody: then the turn is free. Of either thread."""
        with self._guard:
            if self._waiting:
                return self._waiting.popleft()
            self._taken = False
            return None

    def _run(self) -> None:
        hold_back()
        while (errand := self._given.get()) is not None:
            while errand is not None:
                result = errand.run()
                following = self._next() if errand.settle is None else None
                try:
                    errand.loop.call_soon_threadsafe(self._over, errand, result)
                except RuntimeError:  # the event loop has ended, and with it everybody who waits
                    return
                errand = following
            del result  # nothing is kept while there is nothing to do

    def _over(self, errand: Errand[T], result: T | BaseException) -> None:
        _stop_clock(errand)
        if errand.settle is not None:
            try:
                errand.settle(result)
            finally:
                following = self._next()
                if following is not None:
                    self._give(following)
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
        with self._guard:
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
