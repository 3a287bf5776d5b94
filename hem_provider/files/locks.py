"""Locks among processes: of a whole file, and of single bytes of one that is open.

The kernel lets go of either when the process ends, however it ends.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hem_provider.files.flags import CLOEXEC, DIRECTORY
from hem_provider.files.reading import open_unlinked
from hem_provider.trust import check_not_writable_by_others
from hem_provider.waiting import CLOCK

try:
    import fcntl
except ImportError:  # no POSIX
    fcntl = None  # type: ignore[assignment]

__all__ = ["ByteLock", "folder_lock", "is_same_file", "release_lock", "take_lock"]

#: Pauses between two tries, in seconds: the first and the longest, for files and for bytes.
_FILE_PAUSES, _BYTE_PAUSES = (0.001, 0.05), (0.0002, 0.005)
_HELD_BY_OTHERS = frozenset({errno.EAGAIN, errno.EACCES})
#: ``struct flock``: type, whence, start, length, pid.
_FLOCK = struct.Struct("hhqqi4x")
_WRITE, _NOTHING = (0, 0) if fcntl is None else (fcntl.F_WRLCK, fcntl.F_UNLCK)


def _check_system() -> None:
    if fcntl is None:
        raise OSError(errno.ENOSYS, "this system has no locks as fcntl(2) and flock(2) make them")


class ByteLock:
    """A lock on the byte at ``offset`` of a file, which need not have it.

    It belongs to the open file: to its descriptor, those copied from it, and those of children forked
    meanwhile (``F_OFD_SETLK`` of fcntl(2)).
    """

    __slots__ = ("_give", "_take")

    def __init__(self, offset: int) -> None:
        self._take = _FLOCK.pack(_WRITE, os.SEEK_SET, offset, 1, 0)
        self._give = _FLOCK.pack(_NOTHING, os.SEEK_SET, offset, 1, 0)

    def take(self, handle: int, patience: float = 0.0) -> bool:
        """Whether the open file has it now; ``False`` when others hold it for ``patience`` seconds.
        Raises ``OSError`` when it cannot be had at all."""
        _check_system()
        return self._try(handle) or (
            patience > 0 and any(self._try(handle) for _ in CLOCK.looks(patience, *_BYTE_PAUSES))
        )

    def _try(self, handle: int) -> bool:
        try:
            fcntl.fcntl(handle, fcntl.F_OFD_SETLK, self._take)
        except OSError as error:
            if error.errno not in _HELD_BY_OTHERS:
                raise
            return False
        return True

    def give(self, handle: int) -> None:
        """Let the next one in. Not by closing alone: a child forked meanwhile has the file open too."""
        fcntl.fcntl(handle, fcntl.F_OFD_SETLK, self._give)

    def is_held(self, handle: int) -> bool:
        """Whether another open file has it."""
        told = fcntl.fcntl(handle, fcntl.F_OFD_GETLK, self._take)
        return bool(_FLOCK.unpack(told)[0] != _NOTHING)


def take_lock(lock: Path, what: str, patience: float) -> int:
    """A descriptor that holds the lock on this file, which is made when needed and never removed.

    Raises ``TimeoutError`` when others hold it for ``patience`` seconds, ``OSError`` when it cannot be
    had at all, ``HemConfigError`` when others may write it or its directory.
    """
    _check_system()
    for _ in CLOCK.looks(patience, *_FILE_PAUSES):
        handle = _open_lock(lock, what)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_same_file(handle, lock):
                return handle
        except BlockingIOError:
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
    raise TimeoutError(errno.ETIMEDOUT, f"another process has held it for {patience:g} s", str(lock))


@contextmanager
def folder_lock(folder: Path, patience: float) -> Iterator[None]:
    """Hold the lock on a directory itself: for changes of files in it, without a file of their own.

    Raises ``TimeoutError`` when others hold it for ``patience`` seconds, ``OSError``.
    """
    _check_system()
    handle = os.open(folder, os.O_RDONLY | DIRECTORY | CLOEXEC)
    try:
        for _ in CLOCK.looks(patience, *_FILE_PAUSES):
            with suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
        else:
            raise TimeoutError(
                errno.ETIMEDOUT, f"another process has held it for {patience:g} s", str(folder)
            )
        yield
    except BaseException:
        os.close(handle)
        raise
    release_lock(handle)


def release_lock(handle: int) -> None:
    """Let the next one in. Not by closing alone: a child forked meanwhile has the descriptor too."""
    try:
        fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        os.close(handle)


def _open_lock(lock: Path, what: str) -> int:
    handle = open_unlinked(lock, os.O_RDWR | os.O_CREAT)
    try:
        with suppress(FileNotFoundError):  # removed meanwhile: found out after locking
            check_not_writable_by_others(lock, what)
    except BaseException:
        os.close(handle)
        raise
    return handle


def is_same_file(handle: int, path: Path) -> bool:
    """Whether the open file still is the one under its name: somebody may have removed it."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
