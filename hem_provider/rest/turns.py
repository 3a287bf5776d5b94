"""A device's turn: one request at a time, in order, with a pause between two (device API §1.4).

Threads are served in the order of asking, and so are the processes of one user; a process stands in
line for one of its threads at a time. Whoever keeps the turn for longer than ``turn_timeout`` is passed:
a process that hangs or is stopped must not stop the others.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hem_provider.files import runtime_folder
from hem_provider.logs import WARNING, Logger
from hem_provider.perprocess import PerProcess
from hem_provider.rest.fairlock import FairLock
from hem_provider.rest.line import Place
from hem_provider.rest.wire import NoTurnError
from hem_provider.trust import privileges_raised

__all__ = ["turn"]

_log = Logger("hem_provider.rest")

#: Longest wait for the turn, in time-outs of a request.
_PATIENCE = 8


class _Line:
    """One device's line in this process."""

    def __init__(self, url: str) -> None:
        self.lock = FairLock()
        self.last = 0.0
        self.file = f"{hashlib.sha256(url.encode('utf-8')).hexdigest()[:32]}.line"
        self.told = False  #: that there is no order among processes


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
) -> Iterator[None]:
    """Hold the device's turn. ``HemTimeout`` when it does not come; nothing was sent then.

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
    place = None
    try:
        last = line.last
        if among_processes:
            place = _place(line, url, turn_timeout, lasting)
            if place is not None and not _wait(place, line, url, where, ends - time.monotonic()):
                place.leave()
                place = None
        if place is not None:
            last = max(last, min(place.ended, time.monotonic()))
        pause = last + spacing - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        try:
            yield
        finally:
            line.last = time.monotonic()
    finally:
        if place is not None:
            place.leave(note=spacing > 0)
        line.lock.release()


def _busy(where: str, seconds: float) -> NoTurnError:
    return NoTurnError(
        f"{where}: the device is busy with others, no turn within {seconds:g} s (nothing was sent)"
    )


def _place(line: _Line, url: str, turn_timeout: float, lasting: float) -> Place | None:
    directory = runtime_folder()
    if directory is None:
        if not privileges_raised():
            _tell(line, url, "there is no safe folder for it")
        return None
    try:
        return Place(f"{directory}/{line.file}", patience=turn_timeout, lasting=lasting)
    except OSError as error:
        _tell(line, url, str(error))
        return None


def _wait(place: Place, line: _Line, url: str, where: str, seconds: float) -> bool:
    """Whether ``place`` is at the front of the line; not so where the line cannot be kept."""
    begun = time.monotonic()
    try:
        came = place.wait(seconds)
    except OSError as error:
        _tell(line, url, str(error))
        return False
    if place.passed:
        kept = time.monotonic() - begun
        _log.log(
            WARNING, "%s: another process has kept the device for %.3g s; going on without it", url, kept
        )
    if not came:
        raise _busy(where, seconds)
    return True


def _tell(line: _Line, url: str, reason: str) -> None:
    if not line.told:
        line.told = True
        _log.log(WARNING, "%s: no order among processes that use the device: %s", url, reason)
