"""Directories for this user alone."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

__all__ = ["make_folders", "make_private"]


def make_folders(folder: Path) -> None:
    """Make a directory and those above it, where they are missing, for this user alone (0700)."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        with suppress(FileExistsError):
            each.mkdir(mode=0o700)


def make_private(folder: str | Path) -> None:
    """Make a directory as ``make_folders`` does; one that is there must be this user's and nobody
    else's to write. Raises ``OSError``."""
    try:
        seen = os.lstat(folder)
    except FileNotFoundError:
        make_folders(Path(folder))
        seen = os.lstat(folder)
    if not stat.S_ISDIR(seen.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    if seen.st_uid != os.geteuid() or seen.st_mode & 0o022:
        raise PermissionError(errno.EPERM, "others may write this directory", str(folder))
