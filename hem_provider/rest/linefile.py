"""The file of a line of processes (``line``): what is in it, read and written whole."""

from __future__ import annotations

import errno
import os
import struct

__all__ = ["ENTRY", "HEAD", "MAGIC", "MOST", "Line", "read_line", "write_line"]

MAGIC = b"HEMLINE1"
#: Head: magic, entries, since when the front is waited for, when the last turn ended (monotonic seconds).
HEAD = struct.Struct("=8sQdd")
#: Entry: ticket, how long the turn may last where it is known to last long (s), whether there may be a pipe.
ENTRY = struct.Struct("=Qf?3x")
#: Bytes of the file. Written whole when it is new, so that a disk that is full later does no harm.
_SIZE = 4096
#: Entries that it has room for.
MOST = (_SIZE - HEAD.size) // ENTRY.size


class Line:
    """What the file says. ``queue``: entries."""

    __slots__ = ("ended", "is_whole", "queue", "since")

    def __init__(
        self, queue: list[tuple[int, float, bool]], since: float, ended: float, is_whole: bool
    ) -> None:
        self.queue = queue
        self.since = since
        self.ended = ended
        self.is_whole = is_whole


def read_line(handle: int) -> Line:
    """A file that is no line is an empty one."""
    data = os.pread(handle, _SIZE, 0)
    whole = len(data) == _SIZE
    if len(data) >= HEAD.size:
        magic, count, since, ended = HEAD.unpack_from(data)
        end = HEAD.size + count * ENTRY.size
        if magic == MAGIC and count <= MOST and end <= len(data):
            return Line(list(ENTRY.iter_unpack(data[HEAD.size : end])), since, ended, whole)
    return Line([], 0.0, 0.0, whole)


def write_line(handle: int, line: Line, path: str) -> None:
    """Raises ``OSError``, which names ``path``."""
    parts = [HEAD.pack(MAGIC, len(line.queue), line.since, line.ended)]
    parts += [ENTRY.pack(*each) for each in line.queue]
    data = b"".join(parts)
    data = data if line.is_whole else data.ljust(_SIZE, b"\0")
    if os.pwrite(handle, data, 0) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
