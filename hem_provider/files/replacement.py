"""Writing files: one is replaced whole or stays as it was.

What a killed writer leaves behind (``.NAME.<16 hex digits>.tmp``) is swept by later ones.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hem_provider.files.flags import CLOEXEC, DIRECTORY, NOFOLLOW, TMPFILE

__all__ = ["LEFT_BEHIND_AFTER", "replace_file", "replacing", "sweep"]

#: Age in seconds from which a temporary file has no writer any more.
LEFT_BEHIND_AFTER = 3600.0

#: The second form is the one that the certificate store used formerly.
_LEFT_BEHIND = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{16}\.tmp|\.[0-9a-f]{32}\.new")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NOFOLLOW | CLOEXEC


def replace_file(
    path: Path,
    data: bytes,
    *,
    mode: int = 0o600,
    replace: bool = True,
    like: os.stat_result | None = None,
) -> os.stat_result:
    """Put ``data`` in the place of the file: whole and lasting, or the file is as it was.

    ``mode`` is cut by the umask; ``like``: the file gets the permissions that this status tells, and where
    that can be its owner and group, before it takes its place.

    Returns the new file's status. Raises ``OSError``, without ``replace`` ``FileExistsError``.
    """
    with replacing(path, mode=mode, replace=replace) as handle:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        if like is not None:
            if like.st_uid != os.geteuid():  # root changes a file of somebody's
                with suppress(OSError):
                    os.fchown(handle, like.st_uid, like.st_gid)
            os.fchmod(handle, stat.S_IMODE(like.st_mode))
        return os.fstat(handle)


@contextmanager
def replacing(path: Path, *, mode: int = 0o600, replace: bool = True) -> Iterator[int]:
    """A file handle to write to, whose file takes the place of ``path`` when the block is done: whole and
    lasting, or, after any exception, the file is as it was. For what does not fit into memory.

    Where the file system can (``O_TMPFILE`` of open(2)), the file has no name before it is whole, so that
    nothing of it is left when the process is killed. Without ``replace`` a file that has come to ``path``
    by then stays, and that is a ``FileExistsError``. Raises ``OSError``, which names ``path`` where the block
    named no file: what a full disk says of a handle has no name.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}.tmp")
    handle = _without_name(path.parent, mode)
    named = handle is None
    if handle is None:
        handle = os.open(temporary, _NEW, mode)
    try:
        try:
            yield handle
            os.fsync(handle)
            if not named:
                _give_name(handle, temporary if replace else path)
        finally:
            os.close(handle)
        if replace:
            temporary.replace(path)
        elif named:
            _rename_to_free(temporary, path)
    except BaseException as error:
        if named or replace:
            with suppress(OSError):
                temporary.unlink()
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise
    _sync_folder(path.parent)


def _without_name(folder: Path, mode: int) -> int | None:
    """A new file of the folder's file system that has no name; ``None`` where there are none such, or none
    could be given a name later."""
    if not TMPFILE:  # without its flag that would be the folder itself
        return None
    try:
        handle = os.open(folder, os.O_WRONLY | TMPFILE | CLOEXEC, mode)
    except OSError:  # told by the file that has a name, if it is another fault
        return None
    if os.path.exists(_opened(handle)):  # noqa: PTH110 - no /proc in some containers
        return handle
    os.close(handle)
    return None


def _opened(handle: int) -> str:
    return f"/proc/self/fd/{handle}"


def _give_name(handle: int, path: Path) -> None:
    # With a descriptor of a directory, which an absolute path does not need, it is linkat(2): link(2) would
    # make a link to the link in /proc.
    try:
        os.link(_opened(handle), path, src_dir_fd=handle, follow_symlinks=True)
    except OSError as error:
        _name(error, path)
        raise


def _name(error: OSError, path: Path) -> None:
    """It is of the file that was to be made, and not of what that was called before."""
    error.filename, error.filename2 = str(path), None


def _rename_to_free(temporary: Path, path: Path) -> None:
    """As renaming, but for a name that is taken: ``FileExistsError``."""
    try:
        os.link(temporary, path, follow_symlinks=False)
    except FileExistsError as error:
        _name(error, path)
        raise
    except OSError:  # a file system without hard links: the name is taken first
        os.close(os.open(path, _NEW, 0o600))
        try:
            temporary.replace(path)
        except BaseException:
            path.unlink()
            raise
    else:
        temporary.unlink()


def _sync_folder(folder: Path) -> None:
    """Make the new name last. The file is whole and in place whatever this does; some file systems
    do not offer it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | DIRECTORY | CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sweep(folder: Path, name: str | None = None, *, age: float = LEFT_BEHIND_AFTER) -> None:
    """Remove temporary files that writers of ``name`` (``None``: of any file) left in ``folder`` when
    they were killed: this user's, at least ``age`` seconds old. Raises nothing."""
    with suppress(OSError), os.scandir(folder) as entries:
        for each in entries:
            found = _LEFT_BEHIND.fullmatch(each.name)
            if found is None or name not in (None, found["name"]):
                continue
            with suppress(OSError):
                seen = each.stat(follow_symlinks=False)
                old = time.time() - seen.st_mtime >= age
                if old and stat.S_ISREG(seen.st_mode) and seen.st_uid == os.geteuid():
                    os.unlink(each.path)  # noqa: PTH108
