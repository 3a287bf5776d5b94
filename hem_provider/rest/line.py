"""A line of processes before one device: first come, first served, without a process that serves it.

The line is a small file. It lists who waits, the front first, and since when the front has the turn;
whoever changes it holds a lock on its first byte meanwhile, for some microseconds. Each in the line
holds a lock on a byte of its own, its ticket, for as long as it lives: the kernel lets go of it when the
process ends, however it ends. Who leaves wakes the next through a named pipe; a wake-up that is lost, and
a front that died, are noticed by looking now and then.

A front that keeps the turn for too long is taken out by who waits: stopped or hanging, it is waited for
once. It is in line again when it asks again. A file whose first byte stays locked is replaced.
"""

from __future__ import annotations

import errno
import os
import select
import struct
import time
from contextlib import suppress
from pathlib import Path

from hem_provider.files import ByteLock, replace_file
from hem_provider.records import mutable

__all__ = ["Place"]

_MAGIC = b"HEMLINE1"
#: Head: magic, entries, since when the front has the turn, when the last turn ended (monotonic seconds).
_HEAD = struct.Struct("=8sQdd")
#: Entry: ticket, how long the turn may last where it is known to last long (s), whether there is a pipe.
_ENTRY = struct.Struct("=Qf?3x")
#: Bytes of the file. Written whole when it is new, so that a disk that is full later does no harm.
_SIZE = 4096
_MOST = (_SIZE - _HEAD.size) // _ENTRY.size
#: Of who reads or changes the file.
_CONTENT = ByteLock(0)
#: How long until a waiting process looks by itself, and one without a pipe; seconds.
_LOOK, _LOOK_OFTEN = 0.1, 0.005


@mutable
class _Line:
    """What the file says. ``queue``: entries."""

    queue: list[tuple[int, float, bool]]
    since: float
    ended: float
    is_whole: bool


class Place:
    """One process's place in the line of the file ``path``, for one turn.

    ``patience``: seconds after which a front that does not move is passed. ``lasting``: how long this
    turn may last where that is longer. Making one raises ``OSError`` where the file cannot be had.
    """

    def __init__(self, path: str, *, patience: float, lasting: float = 0.0) -> None:
        self._path = path
        self._patience = patience
        self._lasting = lasting
        self._pipe: int | None = None
        self._piped = False
        self._file = -1
        self.passed = 0  #: fronts that kept the turn for too long and were passed
        self.ended = 0.0  #: when the turn before this one ended, monotonic seconds
        self._open()

    def wait(self, seconds: float) -> bool:
        """Whether it is this process's turn, within ``seconds``. ``OSError`` when the file fails."""
        ends = time.monotonic() + seconds
        pause = self._look()
        while pause is not None:
            if time.monotonic() >= ends:
                return False
            if not self._piped:
                self._make_pipe()  # and look again: who left before there was a pipe could wake nobody
            else:
                self._sleep(max(0.0, min(pause, ends - time.monotonic())))
                self._follow()
            pause = self._look()
        return True

    def leave(self, *, note: bool = False) -> None:
        """Out of the line, whether the turn was had or not; the next one is woken. ``note``: write down
        that a turn has ended now, for who keeps a distance from it."""
        try:
            if note:
                self._note_end()
            # The ticket given back is what counts: whoever looks from now on takes the entry out. Who
            # came before that, and waits, is in the file.
            self._drop_pipe()
            self._alive.give(self._file)
            queue = self._read().queue
            if len(queue) > 1 and queue[0][0] == self._ticket:
                self._wake(queue[1][0])
        except OSError:
            pass  # the ticket goes with the file
        finally:
            self._close()

    def _note_end(self) -> None:
        if _CONTENT.take(self._file, self._patience):
            try:
                line = self._read()
                line.ended = time.monotonic()
                self._write(line)
            finally:
                _CONTENT.give(self._file)

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o600)
        try:
            while not (alive := _alive(ticket := _new_ticket())).take(self._file):
                pass
            self._ticket, self._alive = ticket, alive
        except BaseException:
            os.close(self._file)
            self._file = -1
            raise

    def _close(self) -> None:
        self._drop_pipe()
        if self._file >= 0:
            with suppress(OSError):
                self._alive.give(self._file)
            os.close(self._file)
        self._file = -1  # a number that another file may have by now is not closed again

    def _look(self) -> float | None:
        """Come into the line, pass who is dead or late; ``None`` at the front, else when to look again."""
        if not _CONTENT.take(self._file, self._patience):
            self._replace()
            return 0.0
        woken = None
        try:
            line = self._read()
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
                self._write(line)
        finally:
            _CONTENT.give(self._file)
        if front == self._ticket:
            self.ended = line.ended
            return None
        if woken is not None:
            self._wake(woken)
        return min(_LOOK, left)

    def _come_in(self, line: _Line) -> bool:
        """Whether something of the line was changed by it."""
        own = (self._ticket, self._lasting, self._piped)
        for place, (ticket, _, piped) in enumerate(line.queue):
            if ticket == self._ticket:
                line.queue[place] = own
                return piped != self._piped
        if len(line.queue) >= _MOST:
            return False
        if not line.queue:
            line.since = time.monotonic()
        line.queue.append(own)
        return True

    def _drop(self, line: _Line) -> None:
        ticket, _, _ = line.queue.pop(0)
        with suppress(OSError):  # it cannot clear up itself, had no pipe to wait at, or has done so
            os.unlink(self._pipe_of(ticket))  # noqa: PTH108

    def _replace(self) -> None:
        """Begin a new file in the place of one that somebody keeps locked."""
        if self._is_current():
            replace_file(Path(self._path), b"")
            self.passed += 1
        self._close()
        self._open()

    def _follow(self) -> None:
        """Into the new line, where somebody began one."""
        if not self._is_current():
            self._close()
            self._open()

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._file))  # noqa: PTH116 - as often as it waits
        except FileNotFoundError:
            return False

    def _read(self) -> _Line:
        data = os.pread(self._file, _SIZE, 0)
        whole = len(data) == _SIZE
        if len(data) >= _HEAD.size:
            magic, count, since, ended = _HEAD.unpack_from(data)
            end = _HEAD.size + count * _ENTRY.size
            if magic == _MAGIC and count <= _MOST and end <= len(data):
                return _Line(list(_ENTRY.iter_unpack(data[_HEAD.size : end])), since, ended, whole)
        return _Line([], 0.0, 0.0, whole)  # new, or not a line

    def _write(self, line: _Line) -> None:
        parts = [_HEAD.pack(_MAGIC, len(line.queue), line.since, line.ended)]
        parts += [_ENTRY.pack(*each) for each in line.queue]
        data = b"".join(parts)
        data = data if line.is_whole else data.ljust(_SIZE, b"\0")
        if os.pwrite(self._file, data, 0) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._path)

    def _pipe_of(self, ticket: int) -> str:
        return f"{self._path}.{ticket:x}"

    def _make_pipe(self) -> None:
        self._piped = True
        path = self._pipe_of(self._ticket)
        with suppress(OSError):  # a file system without pipes: looking often does instead
            os.mkfifo(path, 0o600)
            self._pipe = _open_pipe(path)

    def _drop_pipe(self) -> None:
        if self._pipe is not None:
            os.close(self._pipe)
        if self._piped:
            with suppress(OSError):
                os.unlink(self._pipe_of(self._ticket))  # noqa: PTH108 - in the way of each turn
        self._pipe, self._piped = None, False

    def _wake(self, ticket: int) -> None:
        with suppress(OSError):  # it has not come to wait yet, or is gone
            pipe = _open_pipe(self._pipe_of(ticket))
            try:
                os.write(pipe, b".")
            finally:
                os.close(pipe)

    def _sleep(self, seconds: float) -> None:
        if self._pipe is None:
            time.sleep(min(seconds, _LOOK_OFTEN))
            return
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        if poll.poll(seconds * 1000):
            with suppress(BlockingIOError):
                os.read(self._pipe, 64)


def _new_ticket() -> int:
    return int.from_bytes(os.urandom(5), "big")


def _alive(ticket: int) -> ByteLock:
    """What a process holds for as long as it is in line with this ticket."""
    return ByteLock(1 + ticket)


def _open_pipe(path: str) -> int:
    # For reading too, whoever opens it: then there is no SIGPIPE, whatever the other side does.
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
