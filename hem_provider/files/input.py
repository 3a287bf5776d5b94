"""A file, or a stream, that is read once from its beginning to its end in constant memory."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from hem_provider.errors import HemConfigError

__all__ = ["BLOCK", "Input", "refuse_fifo"]

#: Bytes that are read at a time.
BLOCK = 1 << 20


def refuse_fifo(path: Path) -> None:
    """``HemConfigError`` for a FIFO that has a name: opening it waits, unseen, until somebody writes to it.
    A pipe of a shell (``/dev/fd/63``) is open already, and is none. ``OSError``."""
    if stat.S_ISFIFO(path.stat().st_mode) and path.resolve().exists():
        raise HemConfigError(f"{path}: it is a FIFO; it can be given as standard input")


class Input:
    """What is at ``path``, or what comes from ``stream``. Opening a directory is an ``OSError``, and so is
    whatever else reading raises.

    ``name``: its last part, ``None`` of a stream. ``size``: in bytes, where it is a regular file.
    """

    def __init__(self, path: Path | None, stream: BinaryIO | None = None) -> None:
        self._path = path
        self._file = stream if stream is not None else open(path or "", "rb", buffering=0)  # noqa: SIM115, PTH123
        self._own = stream is None
        self._first = self._state()
        self.name = path.name if path is not None else None
        self.size = self._first[0] if self._first is not None else None

    def blocks(self) -> Iterator[memoryview]:
        """All of it; each block is good until the next."""
        buffer = memoryview(bytearray(BLOCK))
        while read := self._file.readinto(buffer):  # type: ignore[attr-defined] # of every binary file
            yield buffer[:read]

    def content(self, most: int) -> bytes:
        """All of it, or ``most + 1`` bytes, by which the caller tells what is too large."""
        parts: list[bytes] = []
        left = most + 1
        while left and (part := self._file.read(left)):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def changed(self) -> bool:
        """Whether the regular file that was opened is another now, or under its name another one is."""
        if self._first is None or self._path is None:
            return False
        try:
            named = self._path.stat()
        except OSError:
            return True
        return self._state() != self._first or _state(named) != self._first

    def close(self) -> None:
        """Close the file; a stream stays as it is."""
        if self._own:
            self._file.close()

    def __enter__(self) -> Input:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _state(self) -> tuple[int, ...] | None:
        return _state(os.fstat(self._file.fileno())) if self._own else None


def _state(seen: os.stat_result) -> tuple[int, ...] | None:
    if not stat.S_ISREG(seen.st_mode):
        return None
    return seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_dev, seen.st_ino
