"""Reading files: regular ones only, of a bounded size; a FIFO never makes anybody wait."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from hem_provider.files.flags import CLOEXEC, NOCTTY, NOFOLLOW, NONBLOCK
from hem_provider.trust import check_folders, check_status

__all__ = ["open_own", "open_unlinked", "read_entry", "read_file", "read_own"]

_READ = os.O_RDONLY | NONBLOCK | NOCTTY | CLOEXEC


def read_file(path: Path, what: str, *, limit: int, secret: bool = False, trusted: bool = True) -> bytes:
    """The content of a regular file, ``limit + 1`` bytes of it at most, by which the caller tells one
    that is too large.

    With ``trusted`` others must not be able to change it, with ``secret`` not to read it either
    (``trust.check_status``). Raises ``HemConfigError`` for these and for what is no regular file, and
    ``OSError``.
    """
    _check_type(path, path.stat(), what)  # before opening: to open a device may do something
    handle = os.open(path, _READ)
    with os.fdopen(handle, "rb") as file:
        seen = os.fstat(handle)
        if trusted:
            check_status(path, seen, what, secret=secret)
            check_folders(path, what)
        else:
            _check_type(path, seen, what)
        return file.read(limit + 1)


def _check_type(path: Path, seen: os.stat_result, what: str) -> None:
    if stat.S_ISDIR(seen.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(seen.st_mode):
        check_status(path, seen, what)


def read_entry(path: Path, limit: int) -> tuple[bytes, os.stat_result]:
    """The content, ``limit + 1`` bytes at most, and status of an entry of a directory that the caller
    has found good: for directories with many files. No link is followed; who may write it is the
    caller's to judge. Raises ``OSError``; nothing is read from what is no regular file."""
    handle = open_unlinked(path, os.O_RDONLY)
    try:
        seen = os.fstat(handle)
        room = min(seen.st_size, limit) + 1  # a buffer of this size is made
        return (os.read(handle, room) if stat.S_ISREG(seen.st_mode) else b""), seen
    finally:
        os.close(handle)


def open_unlinked(path: Path, flags: int) -> int:
    """A descriptor of what has this name itself, made (0600) where ``flags`` say so. Raises ``OSError``, for
    a link one that says that it is one: what the system says (``ELOOP``) is of links in a circle."""
    try:
        return os.open(path, flags | NONBLOCK | NOFOLLOW | NOCTTY | CLOEXEC, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP and path.is_symlink():
            raise OSError(errno.ELOOP, "it is a symbolic link", str(path)) from None
        raise


def open_own(path: Path, flags: int) -> int:
    """A descriptor of a file that is this user's alone (0600), no link. Raises ``OSError``."""
    handle = open_unlinked(path, flags)
    seen = os.fstat(handle)
    if stat.S_ISDIR(seen.st_mode):
        os.close(handle)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(seen.st_mode) or seen.st_uid != os.geteuid() or seen.st_mode & 0o077:
        os.close(handle)
        raise PermissionError(errno.EPERM, "not a file of this user alone", str(path))
    return handle


def read_own(path: Path, limit: int) -> bytes:
    """All of a file that is this user's alone. Raises ``OSError``, also for one over ``limit`` bytes."""
    handle = open_own(path, os.O_RDONLY)
    with os.fdopen(handle, "rb") as file:
        if os.fstat(handle).st_size > limit:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
        return file.read()
