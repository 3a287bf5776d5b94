"""A device's turn: one request at a time, in order, with a pause between two (device API §1.4).

Threads are served in the order of asking, and so are the processes of one user; a process stands in
line for one of its threads at a time. Whoever keeps the turn for longer than ``turn_timeout`` is passed:
a process that hangs or is stopped must not stop the others.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hem_provider.files import runtime_folder, runtime_place
from hem_provider.logs import WARNING, Logger
from hem_provider.perprocess import PerProcess
from hem_provider.rest.fairlock import FairLock
from hem_provider.rest.line import Place
from hem_provider.rest.wire import NoTurnError
from hem_provider.trust import privileges_raised

__all__ = ["let_go", "turn"]

_log = Logger("hem_provider.rest")

#: Longest wait for the turn, in time-outs of a request.
_PATIENCE = 8


class _Line:
    """One device's line in this process: its threads, and the place of one of them among the processes."""

    def __init__(self, url: str) -> None:
        self.lock = FairLock(self.leave)
        self.last = 0.0
        self.place: Place | None = None  #: kept from turn to turn, in hand of who has the lock
        self.is_in_front = False  #: where the turn is had among processes
        self._url = url
        self._file = f"{hashlib.sha256(url.encode('utf-8')).hexdigest()[:32]}.line"
        self._told = False  # that there is no order among processes

    def come(self, where: str, turn_timeout: float, lasting: float, seconds: float) -> None:
        """Wait for the turn among processes, where there can be an order among them."""
        if self.is_in_front and self.place is not None:  # had by another thread until now
            if self.place.goes_on(lasting):
                return
            self.leave()
        begun = time.monotonic()
        try:
            place = self._stand(turn_timeout, lasting)
            if place is None:
                return
            self.is_in_front = True  # at least in line: to be left
            came = place.wait(seconds)
        except OSError as error:
            self.leave()
            self._tell(str(error))
            return
        if place.passed:
            _log.log(
                WARNING,
                "%s: another process has kept the device for %.3g s; going on without it",
                self._url,
                time.monotonic() - begun,
            )
        if not came:
            raise _busy(where, seconds)

    def leave(self, *, note: bool = False) -> None:
        """Let other processes have the turn, if it is had. ``note``: as for ``Place.leave``."""
        if self.is_in_front and self.place is not None:
            self.is_in_front = False
            self.place.leave(note=note)

    def close(self) -> None:
        """Let go of the file."""
        place, self.place = self.place, None
        if place is not None:
            place.close()

    def _stand(self, turn_timeout: float, lasting: float) -> Place | None:
        kept, self.place = self.place, None
        if kept is not None and kept.again(
            self._path(runtime_place()), patience=turn_timeout, lasting=lasting
        ):
            self.place = kept
            return kept
        directory = runtime_folder()
        if directory is None:
            if not privileges_raised():
                self._tell("there is no safe folder for it")
            return None
        self.place = Place(self._path(directory), patience=turn_timeout, lasting=lasting)
        return self.place

    def _path(self, directory: str) -> str:
        return f"{directory}/{self._file}"

    def _tell(self, reason: str) -> None:
        if not self._told:
            self._told = True
            _log.log(WARNING, "%s: no order among processes that use the device: %s", self._url, reason)


#: One line per device URL and process, whatever number of objects speak to it.
_lines: PerProcess[dict[str, _Line]] = PerProcess(dict)


@contextmanager
def turn(
    url: str,
    *,
    where: str,
    timeout: float,
    spacing: float,
    among_processes: bool,
    turn_timeout: float | None = None,
    lasting: float = 0.0,
) -> Iterator[Callable[[], None]]:
    """Hold the device's turn; what it gives is to be called when the request leaves, for the thread before to
    go on by then. ``HemTimeout`` when it does not come; nothing was sent then.

    ``timeout``: of an ordinary request; ``spacing``: least pause since the last; ``turn_timeout``: how
    long another process is waited for (as ``timeout``, unless given); ``lasting``: how long this turn
    may last where that is longer. All in seconds.
    """
    lines = _lines.get()
    line = lines.get(url) or lines.setdefault(url, _Line(url))
    turn_timeout = timeout if turn_timeout is None else turn_timeout
    patience = _PATIENCE * max(timeout, turn_timeout, 1.0)
    ends = time.monotonic() + patience
    if not line.lock.acquire(patience):
        raise _busy(where, patience)
    try:
        if not among_processes:  # nor a network, where it would wait
            line.lock.under_way()
        else:
            line.come(where, turn_timeout, lasting, ends - time.monotonic())
        now = time.monotonic()
        last = line.last
        if line.is_in_front and line.place is not None:
            last = max(last, min(line.place.ended, now))
        if last + spacing > now:
            time.sleep(last + spacing - now)
        try:
            yield line.lock.under_way
        finally:
            line.last = time.monotonic()
    finally:
        if spacing > 0:
            line.leave(note=True)
        line.lock.release()  # which leaves, too, unless a thread of this process is next


def let_go(url: str) -> None:
    """Let go of the device's line, unless somebody is in it."""
    line = _lines.get().get(url)
    if line is not None and line.lock.acquire(0):
        line.close()
        line.lock.release()


def _busy(where: str, seconds: float) -> NoTurnError:
    return NoTurnError(
        f"{where}: the device is busy with others, no turn within {seconds:g} s (nothing was sent)"
    )
