"""Files of lines that are only ever appended to: after a crash there are whole lines, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from hem_provider.files.reading import open_own

__all__ = ["AppendedFile"]

#: Bytes that are written, and read from the end, at once.
_PIECE = 1024 * 1024


class AppendedFile:
    """A file of this user alone (0600), made where it is missing, that is open for appending.

    What a writer left that was killed within a line is cut off (``torn``: how many bytes); so are zeros at
    the end, which some file systems leave after a loss of power. Raises ``OSError``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = open_own(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        try:
            size = os.fstat(self._handle).st_size
            whole = self._whole(size)
            if whole < size:
                os.ftruncate(self._handle, whole)
        except BaseException:
            os.close(self._handle)
            raise
        self.size = whole
        self.torn = size - whole

    def append(self, lines: Iterable[bytes]) -> None:
        """Add lines, each with its end, and make them last. All of them, or after an ``OSError`` none."""
        try:
            waiting = bytearray()
            for line in lines:
                waiting += line
                if len(waiting) >= _PIECE:
                    self._write(waiting)
                    waiting = bytearray()
            self._write(waiting)
            os.fsync(self._handle)
        except BaseException as error:
            with suppress(OSError):
                os.ftruncate(self._handle, self.size)
            if isinstance(error, OSError):
                error.filename = str(self.path)
            raise
        self.size = os.fstat(self._handle).st_size

    def _write(self, data: bytearray) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._handle, view) :]

    def _whole(self, size: int) -> int:
        """Where the last whole line ends."""
        end = size
        only_zeros = True
        while end:
            piece = os.pread(self._handle, min(_PIECE, end), max(0, end - _PIECE))
            kept = piece.rstrip(b"\0") if only_zeros else piece
            only_zeros = only_zeros and not kept
            found = kept.rfind(b"\n")
            if found >= 0:
                return end - len(piece) + found + 1
            end -= len(piece)
        return 0

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._handle)

    def __enter__(self) -> AppendedFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
