"""Files and standard output as receivers.

A file has each entry once, whatever happens: how far it has got is read from its own end, and what was torn
there is cut off. The cursor counts only where the file is new or empty, as after a rotation.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from hem_provider.auditlog.delivery.forms import FULL, Away, Form, Message, let_pass
from hem_provider.errors import HemConfigError
from hem_provider.files import is_same_file, make_folders, release_lock, take_lock

__all__ = ["File", "Output"]

#: Bytes that are looked at first at the end of a file; doubled until an entry is found.
_LOOK = 64 * 1024


class File:
    """The file at ``path`` (0600), to which entries in ``form`` are appended; made where it is missing.

    ``newest``: number of the last entry of the copy, beyond which no file of this copy can have got. ``told``
    gets a line where others may read the file.
    """

    def __init__(
        self, path: Path, form: Form, newest: int, told: Callable[[str], None] = lambda _: None
    ) -> None:
        self._path, self._form, self._newest, self._told = path, form, newest, told
        self._handle: int | None = None
        self._size = 0
        self._number = 0

    def open(self, number: int) -> int:
        """Look at its end. ``HemConfigError`` for a file that has something else in it, or entries of another
        copy; ``OSError``."""
        if self._handle is not None and not is_same_file(self._handle, self._path):
            self.close()  # it was rotated
        if self._handle is not None and os.fstat(self._handle).st_size == self._size:
            return self._number
        try:
            self._number = self._look(number)
        except BaseException:
            self.close()
            raise
        return self._number

    def _look(self, number: int) -> int:
        if self._handle is None:
            self._handle = self._opened()
            if os.fstat(self._handle).st_mode & 0o077:  # others may not write it: it would have been refused
                self._told(
                    "others may read this file, and a line of the log can have the key in it that the codes "
                    "of other lines are made with; chmod 600 shuts it"
                )
        size = os.fstat(self._handle).st_size
        end, found = self._last_entry(size)
        if end < size and not end:
            self._check_torn(os.pread(self._handle, len(self._form.beginning), 0))
        if found is not None and found > self._newest:
            raise HemConfigError(
                f"{self._path}: it ends with entry {found}, and the copy with {self._newest}: it belongs to "
                "another copy"
            )
        if end < size:
            os.ftruncate(self._handle, end)
        self._size = end
        return number if found is None else found

    def _opened(self) -> int:
        try:
            if not stat.S_ISREG(self._path.stat().st_mode):
                if self._path.is_dir():
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(self._path))
                raise HemConfigError(f"{self._path}: it is no regular file; '--to -' writes to a pipe")
        except FileNotFoundError:
            make_folders(self._path.parent)
        try:
            return take_lock(self._path, "a file that the log is exported to", 0)
        except TimeoutError:
            raise HemConfigError(f"{self._path}: another process exports to this file") from None

    def _last_entry(self, size: int) -> tuple[int, int | None]:
        """Where the last whole entry ends, and its number; 0 and ``None`` where there is none. What stands
        behind it is torn."""
        assert self._handle is not None  # noqa: S101 - opened before
        look = _LOOK
        while size:
            start = max(0, size - look)
            content = (b"" if start else b"\n") + os.pread(self._handle, look, start)
            end = content.rfind(self._form.ending)
            found = self._form.number.search(content, 0, end) if end >= 0 else None
            if found is not None:
                return start + end + len(self._form.ending) - (not start), int(found[1])
            if end >= 0 and content.find(b"\n", 0, end) >= 0:
                raise self._foreign()
            if not start:
                return 0, None
            look *= 2
        return 0, None

    def _check_torn(self, content: bytes) -> None:
        """A file without a whole entry is ours only where it was torn within the first."""
        if not self._form.beginning.startswith(content.rstrip(b"\0")):
            raise self._foreign()

    def _foreign(self) -> HemConfigError:
        return HemConfigError(f"{self._path}: it has something else in it; nothing is added to it")

    def send(self, messages: Sequence[Message]) -> None:
        """Append, and make it last: all, or none."""
        assert self._handle is not None  # noqa: S101 - opened before
        data = b"".join(each.data for each in messages)
        try:
            view = memoryview(data)
            while view:
                view = view[os.pwrite(self._handle, view, self._size + len(data) - len(view)) :]
            os.fsync(self._handle)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._handle, self._size)
            if error.errno in FULL:
                raise Away(f"{self._path}: {error.strerror}") from None
            error.filename = str(self._path)
            raise
        self._size += len(data)
        self._number = messages[-1].number

    def idle(self, seconds: float) -> None:
        """Wait."""
        let_pass(seconds)

    def finish(self) -> None:
        """All is there already."""
        self.close()

    def close(self) -> None:
        """Let others write to it."""
        if self._handle is not None:
            with suppress(OSError):
                release_lock(self._handle)
            self._handle = None


class Output:
    """An open stream. What reads it cannot confirm anything: what was written counts as delivered."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def open(self, number: int) -> int:
        """It is open."""
        return number

    def send(self, messages: Sequence[Message]) -> None:
        """Write all. ``OSError``, ``BrokenPipeError`` where nobody reads."""
        for each in messages:
            self._stream.write(each.data)
        self._stream.flush()

    def idle(self, seconds: float) -> None:
        """Wait."""
        let_pass(seconds)

    def finish(self) -> None:
        """It stays open."""

    def close(self) -> None:
        """It stays open."""
