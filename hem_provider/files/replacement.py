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

__all__ = ["LEFT_BEHIND_AFTER", "replace_file", "replacing", "sweep"]

#: Age in seconds from which a temporary file has no writer any more.
LEFT_BEHIND_AFTER = 3600.0

#: The second form is the one that the certificate store used formerly.
_LEFT_BEHIND = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{16}\.tmp|\.[0-9a-f]{32}\.new")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def replace_file(path: Path, data: bytes, *, mode: int = 0o600) -> os.stat_result:
    """Put ``data`` in the place of the file: whole and lasting, or the file is as it was.

    Returns the new file's status. Raises ``OSError``.
    """
    with replacing(path, mode=mode) as handle:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        return os.fstat(handle)


@contextmanager
def replacing(path: Path, *, mode: int = 0o600) -> Iterator[int]:
    """A file handle to write to, whose file takes the place of ``path`` when the block is done: whole and
    lasting, or, after any exception, the file is as it was. For what does not fit into memory.

    Raises ``OSError``.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}.tmp")
    handle = os.open(temporary, _NEW, mode)
    try:
        try:
            yield handle
            os.fsync(handle)
        finally:
            os.close(handle)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name last. The file is whole and in place whatever this does; some file systems
    do not offer it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
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
