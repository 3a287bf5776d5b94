"""Whether this process may believe its environment and its files.

Questions that configuration, passphrase sources, certificate authorities and local stores all ask:
does the process run with raised privileges (then environment variables come from someone with fewer
rights); could somebody else have written this file, or put another in its place; and can somebody
else read a secret in it? A file's type is looked at before its mode, so that nobody is told to take
rights from a device or from ``/tmp``.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path, PurePath
from shlex import quote

from hem_provider.errors import HemConfigError

__all__ = [
    "check_folders",
    "check_not_writable_by_others",
    "check_status",
    "ignored_variables",
    "privileges_raised",
]

_AT_SECURE = 23
_WORD = struct.calcsize("L")


#: Beginnings of the names of variables that we follow where the environment can be believed.
_OURS = ("HEM_", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")


@cache
def privileges_raised() -> bool:
    """Whether the process was started with more rights than its caller has: ``getauxval(AT_SECURE)``.

    The kernel's word alone, as for the C library's ``secure_getenv``: true for set-user-id,
    set-group-id and file-capability programs. A process that gave up rights later, or hides itself
    from debuggers, still has the environment that it was started with.
    """
    try:
        vector = Path("/proc/self/auxv").read_bytes()
    except OSError:  # not readable after setuid(2), nor without /proc; the C library has a copy
        try:
            import ctypes  # seldom needed, and not cheap to load
        except ImportError:  # rights were given up before anybody asked, and Python's own files with them
            return True
        getauxval = ctypes.CDLL(None).getauxval
        getauxval.restype, getauxval.argtypes = ctypes.c_ulong, (ctypes.c_ulong,)
        return bool(getauxval(_AT_SECURE))
    pairs = struct.iter_unpack("LL", vector[: len(vector) // (2 * _WORD) * 2 * _WORD])
    return any(tag == _AT_SECURE and value != 0 for tag, value in pairs)


def ignored_variables() -> tuple[str, ...]:
    """Variables that are set for us and not followed, since privileges are raised."""
    if not privileges_raised():
        return ()
    return tuple(sorted(name for name in os.environ if name.startswith(_OURS)))


#: Directories that are everybody's, whose modes are not ours to advise on.
_EVERYBODYS = frozenset(map(Path, ("/", "/tmp", "/var/tmp", "/dev/shm", "/run/lock")))  # noqa: S108 - not used
_MOST_LINKS = 40  # as the kernel follows
_TYPES: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
)


def check_not_writable_by_others(path: Path, what: str, *, secret: bool = False) -> os.stat_result:
    """Refuse a file that another user may change, or put another in the place of.

    The file is judged by ``check_status``, the directories on the way to it by ``check_folders``.
    Returns the file's status. Raises ``HemConfigError`` naming ``what``, the path and the cure, and
    ``OSError`` where there is no such file or it is a directory.
    """
    status = path.stat()
    check_status(path, status, what, secret=secret)
    check_folders(path, what)
    return status


def check_status(path: Path, status: os.stat_result, what: str, *, secret: bool = False) -> None:
    """Refuse what is no regular file, belongs to neither this user nor root, may be written by group
    or others, or (``secret``) may be read by them.

    Of a file that belongs to root the group may read a secret: so an administrator hands it to a
    service. Raises ``HemConfigError``, ``IsADirectoryError`` for a directory.
    """
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    for is_such, name in _TYPES:
        if is_such(status.st_mode):
            raise HemConfigError(f"{path}: {what} must be a regular file; this is {name}", code="E-RIGHTS")
    _check_owner(path, status, what, (0, os.geteuid()))
    mode = stat.S_IMODE(status.st_mode)
    read_by_others = mode & stat.S_IROTH or (mode & stat.S_IRGRP and status.st_uid != 0)
    if mode & (stat.S_IWGRP | stat.S_IWOTH) or (secret and read_by_others):
        right = "write" if mode & (stat.S_IWGRP | stat.S_IWOTH) else "read"
        real = path.resolve()  # what a link names is what has the mode
        cure = _cure(real, status, "go-rwx" if secret else "go-w")
        code = "E-RIGHTS" if right == "write" else "E-SECRET-READABLE"
        raise HemConfigError(f"{real}: others may {right} {what} (mode {mode:04o}); {cure}", code=code)


def check_folders(path: Path, what: str) -> None:
    """Refuse a path on which another user could put something else in the place of the file.

    Every directory that is passed, up to ``/`` and by way of symbolic links, must belong to this
    user or root and must not be writable by group and others unless it is sticky (like ``/tmp``),
    where nobody can replace what is ours; so must the links belong to one of the two.
    """
    pending = list(reversed(_parts(path if path.is_absolute() else Path.cwd() / path)))
    here, links, seen = Path("/"), 0, set()
    while pending:
        name = pending.pop()
        if here not in seen:
            seen.add(here)
            _check_folder(here, what, nearest=not pending)
        if name == "..":
            here = here.parent
            continue
        entry = here / name
        try:
            status = entry.lstat()
        except FileNotFoundError:
            if pending:
                raise
            return  # a file that will be made there
        if not stat.S_ISLNK(status.st_mode):
            here = entry
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        _check_owner(entry, status, f"the link to {what}", _owners_of_folders())
        target = entry.readlink()
        here = Path("/") if target.is_absolute() else here
        pending.extend(reversed(_parts(target)))


def _parts(path: PurePath) -> tuple[str, ...]:
    return path.parts[1:] if path.is_absolute() else path.parts


def _check_folder(folder: Path, what: str, *, nearest: bool) -> None:
    status = folder.stat()
    name = f"the directory of {what}" if nearest else f"a directory on the way to {what}"
    _check_owner(folder, status, name, (0, os.geteuid()) if nearest else _owners_of_folders())
    mode = stat.S_IMODE(status.st_mode)
    if mode & (stat.S_IWGRP | stat.S_IWOTH) and not mode & stat.S_ISVTX:
        raise HemConfigError(
            f"{folder}: others may write {name} (mode {mode:04o}); {_cure(folder, status, 'go-w')}",
            code="E-RIGHTS",
        )


def _check_owner(path: Path, status: os.stat_result, what: str, owners: tuple[int, ...]) -> None:
    if status.st_uid not in owners:
        raise HemConfigError(
            f"{path}: {what} belongs to user id {status.st_uid}; it must belong to user id "
            f"{os.geteuid()} or to root",
            code="E-RIGHTS",
        )


def _cure(path: Path, status: os.stat_result, right: str) -> str:
    """What the person who reads this can do about it."""
    if path in _EVERYBODYS:
        return "keep the file in a directory of your own"
    if status.st_uid == os.geteuid():
        return f"run: chmod {right} {quote(str(path))}"
    return "it belongs to root, who alone can change that"


def _owners_of_folders() -> tuple[int, ...]:
    hidden = _hidden_owner()
    return (0, os.geteuid()) if hidden is None else (0, os.geteuid(), hidden)


@cache
def _hidden_owner() -> int | None:
    """In a user namespace that does not show every user (a sandbox), the id that stands for all the
    others: the system's directories bear it there."""
    try:
        rows = [line.split() for line in Path("/proc/self/uid_map").read_text("ascii").splitlines()]
        hidden = int(Path("/proc/sys/kernel/overflowuid").read_text("ascii"))
    except (OSError, ValueError):
        return None
    return None if ["0", "4294967295"] in [row[::2] for row in rows] else hidden
