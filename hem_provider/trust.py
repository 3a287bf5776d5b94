"""Whether this process may believe its environment and its files.

Two questions that configuration, passphrase sources and local stores all ask: does the process
run with raised privileges (then environment variables come from someone with fewer rights), and
could somebody else have written this file?
"""

from __future__ import annotations

import os
import stat
import struct
from functools import cache
from pathlib import Path

from hem_provider.errors import HemConfigError

__all__ = ["check_not_writable_by_others", "privileges_raised"]

_AT_SECURE = 23
_WORD = struct.calcsize("L")


@cache
def privileges_raised() -> bool:
    """Whether the process was started with more rights than its caller has (``AT_SECURE``).

    True for set-user-id, set-group-id and file-capability programs, see getauxval(3); also
    when the kernel does not say.
    """
    if os.getuid() != os.geteuid() or os.getgid() != os.getegid():
        return True
    try:
        vector = Path("/proc/self/auxv").read_bytes()
    except PermissionError:
        return True  # the kernel hides it from processes it does not trust to be dumped
    except OSError:
        return False  # no /proc: the identities above are all there is to ask
    pairs = struct.iter_unpack("LL", vector[: len(vector) // (2 * _WORD) * 2 * _WORD])
    return any(tag == _AT_SECURE and value != 0 for tag, value in pairs)


def check_not_writable_by_others(path: Path, what: str) -> os.stat_result:
    """Refuse a file, or the directory it is in, that another user may change.

    The file must belong to the process's user or to root and grant no write access to group and
    others; so must its directory, unless it is sticky (like ``/tmp``), where nobody can replace
    a file of ours. Symbolic links are followed first.

    Returns the file's status. Raises ``HemConfigError`` naming ``what``, the path and the cure, and
    ``FileNotFoundError`` where there is no such file.
    """
    real = path.resolve(strict=True)
    status = real.stat()
    _check(real, status, what)
    parent = real.parent
    parent_status = parent.stat()
    if not parent_status.st_mode & stat.S_ISVTX:
        _check(parent, parent_status, f"the directory of {what}")
    return status


def _check(path: Path, status: os.stat_result, what: str) -> None:
    if status.st_uid not in (0, os.geteuid()):
        raise HemConfigError(
            f"{path}: {what} belongs to user id {status.st_uid}; it must belong to user id "
            f"{os.geteuid()} or to root"
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise HemConfigError(
            f"{path}: others may write {what} (mode {stat.S_IMODE(status.st_mode):04o}); "
            f"run: chmod go-w '{path}'"
        )
