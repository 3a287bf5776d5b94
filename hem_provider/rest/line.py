"""A line of processes before one device: first come, first served, without a process that serves it.

The line is a small file. It lists who waits, the front first, and since when the front has the turn;
whoever changes it holds a lock on its first byte meanwhile, for some microseconds. Each in the line
holds a lock on a byte of its own, its ticket, for as long as it lives: the kernel lets go of it when the
process ends, however it ends. Who leaves wakes the next through a named pipe; a wake-up that is lost, and
a front that died, are noticed by looking now and then.

Who leaves gives its ticket back, and stays in the file until somebody else comes: where nobody does, the
next turn needs no change of it, and the file stays open for that.

A front that keeps the turn for too long, from when somebody waits for it, is taken out by who waits: stopped
or hanging, it is waited for once. It is in line again when it asks again. A file whose first byte stays
locked is replaced.
"""

from __future__ import annotations

import os
import time
import weakref
from contextlib import suppress
from pathlib import Path

from hem_provider.files import ByteLock, replace_file
from hem_provider.rest.linefile import MOST, Line, read_line, write_line
from hem_provider.rest.wakeup import WakeUp, wake

__all__ = ["Place"]

#: Of who reads or changes the file.
_CONTENT = ByteLock(0)
#: How long until a waiting process looks by itself, in seconds.
_LOOK = 0.1

#: Those that are open.
_places: weakref.WeakSet[Place] = weakref.WeakSet()


class Place:
    """One process's place in the line of the file ``path``: for one turn, and ``again`` for others.

    ``patience``: seconds after which a front that does not move is passed. ``lasting``: how long this
    turn may last where that is longer. Making one raises ``OSError`` where the file cannot be had.
    """

    def __init__(self, path: str, *, patience: float, lasting: float = 0.0) -> None:
        self._path = path
        self._patience = patience
        self._lasting = lasting
        self._waits_at: WakeUp | None = None
        self._file = -1
        self._alone = False  # when it left last: then the ticket is as good as a new one
        self.passed = 0  #: fronts that kept the turn for too long and were passed
        self.ended = 0.0  #: when the turn before this one ended, monotonic seconds
        self._open()

    def again(self, path: str, *, patience: float, lasting: float = 0.0) -> bool:
        """For another turn, after ``leave``. ``False`` where the line is in another file by now."""
        self._patience, self._lasting, self.passed = patience, lasting, 0
        if path != self._path or not self._is_current():
            self.close()
            return False
        if not (self._alone and self._alive.take(self._file)):
            self._take_ticket()
        return True

    def wait(self, seconds: float) -> bool:
        """Whether it is this process's turn, within ``seconds``. ``OSError`` when the file fails."""
        ends = time.monotonic() + seconds
        pause = self._look()
        while pause is not None:
            if time.monotonic() >= ends:
                return False
            if self._waits_at is None:
                # And look again: who left before could wake nobody.
                self._waits_at = WakeUp(self._pipe_of(self._ticket))
            else:
                self._waits_at.wait(max(0.0, min(pause, ends - time.monotonic())))
                self._follow()
            pause = self._look()
        return True

    def goes_on(self, lasting: float) -> bool:
        """Whether the turn may be used once more, for as long as ``lasting`` says: nobody else waits."""
        try:
            return (lasting, True) == (self._lasting, self._is_current()) and self._is_alone()
        except OSError:
            return False

    def leave(self, *, note: bool = False) -> None:
        """Out of the line, whether the turn was had or not; the next one is woken. ``note``: write down
        that a turn has ended now, for who keeps a distance from it."""
        left = False
        try:
            if note:
                self._note_end()
            # The ticket given back is what counts: whoever looks from now on takes the entry out. Who
            # came before that, and waits, is in the file.
            self._alive.give(self._file)
            queue = read_line(self._file).queue
            in_front = bool(queue) and queue[0][0] == self._ticket
            self._alone = in_front and len(queue) == 1
            if in_front and not self._alone:
                wake(self._pipe_of(queue[1][0]))
            left = True
        except OSError:
            pass  # the ticket goes with the file
        finally:
            if left:
                self._end_wait()
            else:
                self.close()

    def close(self) -> None:
        """Out of the line, and of the file."""
        self._end_wait()
        handle, self._file = self._file, -1  # a number that another file may have by now is not closed again
        if handle >= 0:
            with suppress(OSError):
                self._alive.give(handle)
            os.close(handle)

    def abandon(self) -> None:
        """Close what a forked child has of its parent's place, which stays the parent's."""
        waits_at, self._waits_at = self._waits_at, None
        if waits_at is not None:
            waits_at.abandon()
        handle, self._file = self._file, -1
        if handle >= 0:
            os.close(handle)

    def _note_end(self) -> None:
        if _CONTENT.take(self._file, self._patience):
            try:
                line = read_line(self._file)
                line.ended = time.monotonic()
                write_line(self._file, line, self._path)
            finally:
                _CONTENT.give(self._file)

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o600)
        _places.add(self)
        try:
            self._opened = os.fstat(self._file)
            self._take_ticket()
        except BaseException:
            os.close(self._file)
            self._file = -1
            raise

    def _take_ticket(self) -> None:
        while not (alive := _alive(ticket := _new_ticket())).take(self._file):
            pass
        self._ticket, self._alive = ticket, alive

    def _look(self) -> float | None:
        """Come into the line, pass who is dead or late; ``None`` at the front, else when to look again."""
        if not _CONTENT.take(self._file, self._patience):
            self._replace()
            return 0.0
        woken = None
        try:
            line = read_line(self._file)
            changed = self._come_in(line)
            now = time.monotonic()
            if line.since > now:  # of another boot
                line.since, changed = now, True
            left = 0.0
            while line.queue and line.queue[0][0] != self._ticket:
                ticket, lasting, _ = line.queue[0]
                left = line.since + max(self._patience, lasting) - now
                alive = _alive(ticket).is_held(self._file)
                if alive and left > 0:
                    break
                self.passed += alive
                self._drop(line)
                line.since, changed = now, True
                woken = line.queue[0][0] if line.queue else None
            changed = self._come_in(line) or changed  # where all of a full line were dead
            front = line.queue[0][0]
            if changed:
                write_line(self._file, line, self._path)
        finally:
            _CONTENT.give(self._file)
        if front == self._ticket:
            self.ended = line.ended
            return None
        if woken is not None:
            wake(self._pipe_of(woken))
        return min(_LOOK, left)

    def _come_in(self, line: Line) -> bool:
        """Whether something of the line was changed by it."""
        # A pipe is told ahead of its making, so that whoever dies leaves none behind.
        waits = self._waits_at is not None or bool(line.queue and line.queue[0][0] != self._ticket)
        own = (self._ticket, self._lasting, waits)
        for place, entry in enumerate(line.queue):
            if entry[0] == self._ticket:
                line.queue[place] = own
                return entry != own
        if len(line.queue) >= MOST:
            return False
        if len(line.queue) <= 1:  # who is in front may have been there at ease until now
            line.since = time.monotonic()
        line.queue.append(own)
        return True

    def _drop(self, line: Line) -> None:
        ticket, _, piped = line.queue.pop(0)
        if piped:
            with suppress(OSError):  # it cannot clear up itself, or has done so
                os.unlink(self._pipe_of(ticket))  # noqa: PTH108

    def _replace(self) -> None:
        """Begin a new file in the place of one that somebody keeps locked."""
        if self._is_current():
            replace_file(Path(self._path), b"")
            self.passed += 1
        self.close()
        self._open()

    def _follow(self) -> None:
        """Into the new line, where somebody began one."""
        if not self._is_current():
            self.close()
            self._open()

    def _is_current(self) -> bool:
        """Whether the open file is the line's. Some hosts close what they have not opened, and the number is
        another file's then, which nothing is done to."""
        try:
            ours = os.path.samestat(os.fstat(self._file), self._opened)
        except OSError:
            ours = False
        if not ours:
            self._file = -1
            return False
        try:
            return os.path.samestat(os.stat(self._path), self._opened)  # noqa: PTH116 - as often as it waits
        except OSError:
            return False

    def _is_alone(self) -> bool:
        return [each[0] for each in read_line(self._file).queue] == [self._ticket]

    def _pipe_of(self, ticket: int) -> str:
        return f"{self._path}.{ticket:x}"

    def _end_wait(self) -> None:
        waits_at, self._waits_at = self._waits_at, None
        if waits_at is not None:
            waits_at.end()


def _leave_parents() -> None:
    for place in list(_places):
        place.abandon()


# The kernel lets go of a ticket once nobody has the file open: not a child that outlives its parent either.
if hasattr(os, "register_at_fork"):  # where there is a fork
    os.register_at_fork(after_in_child=_leave_parents)


def _new_ticket() -> int:
    return int.from_bytes(os.urandom(5), "big")


def _alive(ticket: int) -> ByteLock:
    """What a process holds for as long as it is in line with this ticket."""
    return ByteLock(1 + ticket)
