"""Files of this user: where they are, and how they are read, replaced and locked.

*Where.* The directories of the XDG base directory specification. A variable counts when it is an
absolute path; else the directory is below the home, and where no home is known there is no such
place: nothing is ever read or made below the working directory unless somebody named it.

*Reading.* Regular files only, of a bounded size; a FIFO never makes anybody wait.

*Writing.* A file is replaced whole or stays as it was. What a killed writer leaves behind
(``.NAME.<16 hex digits>.tmp``) is swept by later ones.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import time
from contextlib import suppress
from pathlib import Path

from hem_provider.errors import HemConfigError
from hem_provider.trust import check_folders, check_not_writable_by_others, check_status, privileges_raised

__all__ = [
    "cache_home",
    "config_home",
    "data_home",
    "home",
    "is_same_file",
    "make_folders",
    "make_private",
    "named_path",
    "open_own",
    "read_entry",
    "read_file",
    "read_own",
    "release_lock",
    "replace_file",
    "runtime_home",
    "sweep",
    "take_lock",
]

#: Age in seconds from which a temporary file has no writer any more.
LEFT_BEHIND_AFTER = 3600.0

#: The second form is the one that the certificate store used formerly.
_LEFT_BEHIND = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{16}\.tmp|\.[0-9a-f]{32}\.new")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

# --- where ------------------------------------------------------------------------------------------


def home() -> Path | None:
    """``$HOME`` when it is an absolute path that this process may search, else the home in the
    user database; ``None`` where neither is.

    A daemon that was started from a root shell and gave up root still has root's ``HOME``: that
    counts as if it were not there. So does every home in a process with raised privileges.
    """
    if privileges_raised():
        return None
    given = os.environ.get("HOME", "")
    if os.path.isabs(given) and _may_be_searched(given):  # noqa: PTH117 - what is not absolute is no path
        return Path(given)
    return _home_in_database(None)


def _home_in_database(user: str | None) -> Path | None:
    import pwd  # asks the system's user database, which few processes need

    try:
        found = pwd.getpwnam(user).pw_dir if user is not None else pwd.getpwuid(os.geteuid()).pw_dir
    except (KeyError, ValueError, UnicodeEncodeError):
        return None
    return Path(found) if os.path.isabs(found) and _may_be_searched(found) else None  # noqa: PTH117


def _may_be_searched(folder: str) -> bool:
    """False for a directory that is closed to this process; what does not exist is not closed."""
    try:
        mode = os.stat(folder).st_mode  # noqa: PTH116
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False
    return stat.S_ISDIR(mode) and os.access(folder, os.X_OK, effective_ids=True)


def config_home() -> Path | None:
    """``$XDG_CONFIG_HOME``, else ``~/.config``."""
    return _base("XDG_CONFIG_HOME", ".config")


def data_home() -> Path | None:
    """``$XDG_DATA_HOME``, else ``~/.local/share``."""
    return _base("XDG_DATA_HOME", ".local/share")


def cache_home() -> Path | None:
    """``$XDG_CACHE_HOME``, else ``~/.cache``."""
    return _base("XDG_CACHE_HOME", ".cache")


def runtime_home() -> str | None:
    """``$XDG_RUNTIME_DIR``, which has no default."""
    given = "" if privileges_raised() else os.environ.get("XDG_RUNTIME_DIR", "")
    return given if os.path.isabs(given) else None  # noqa: PTH117


def _base(variable: str, below_home: str) -> Path | None:
    if privileges_raised():
        return None
    given = os.environ.get(variable, "")
    if os.path.isabs(given):  # noqa: PTH117 - the specification: a relative one is invalid and ignored
        return Path(given)
    found = home()
    return None if found is None else found / below_home


def named_path(text: str) -> Path:
    """A path that somebody wrote down, where no shell has replaced a leading ``~`` or ``~USER``.

    Raises ``HemConfigError`` for an unknown home and for a zero byte: a directory called ``~`` is
    never meant (``./~`` names one).
    """
    if "\0" in text:
        raise HemConfigError(f"{text!r} is no path: it has a zero byte")
    if not text.startswith("~"):
        return Path(text)
    user, _, rest = text[1:].partition("/")
    found = _home_in_database(user) if user and not privileges_raised() else home() if not user else None
    if found is None:
        raise HemConfigError(f"{text!r}: no home is known for {'~' + user!r}; write the whole path")
    return found / rest.lstrip("/")


# --- reading ----------------------------------------------------------------------------------------


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
    handle = os.open(path, _READ | os.O_NOFOLLOW)
    try:
        seen = os.fstat(handle)
        room = min(seen.st_size, limit) + 1  # a buffer of this size is made
        return (os.read(handle, room) if stat.S_ISREG(seen.st_mode) else b""), seen
    finally:
        os.close(handle)


def open_own(path: Path, flags: int) -> int:
    """A descriptor of a file that is this user's alone (0600), no link. Raises ``OSError``."""
    handle = os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC, 0o600)
    seen = os.fstat(handle)
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


# --- writing ----------------------------------------------------------------------------------------


def make_folders(folder: Path) -> None:
    """Make a directory and those above it, where they are missing, for this user alone (0700)."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        with suppress(FileExistsError):
            each.mkdir(mode=0o700)


def make_private(folder: Path) -> None:
    """Make a directory as ``make_folders`` does; one that is there must be this user's and nobody
    else's to write. Raises ``OSError``."""
    make_folders(folder)
    seen = folder.lstat()
    if not stat.S_ISDIR(seen.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    if seen.st_uid != os.geteuid() or seen.st_mode & 0o022:
        raise PermissionError(errno.EPERM, "others may write this directory", str(folder))


def replace_file(path: Path, data: bytes, *, mode: int = 0o600) -> os.stat_result:
    """Put ``data`` in the place of the file: whole and lasting, or the file is as it was.

    Returns the new file's status. Raises ``OSError``.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}.tmp")
    handle = os.open(temporary, _NEW, mode)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]
            os.fsync(handle)
            seen = os.fstat(handle)
        finally:
            os.close(handle)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)
    return seen


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


# --- locks ------------------------------------------------------------------------------------------


def take_lock(lock: Path, what: str, patience: float) -> int:
    """A descriptor that holds the lock on this file, which is made when needed and never removed.

    Raises ``TimeoutError`` when others hold it for ``patience`` seconds, ``OSError`` when it cannot be
    had at all, ``HemConfigError`` when others may write it or its directory.
    """
    deadline = time.monotonic() + patience
    pause = _FIRST_PAUSE
    while True:
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
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, f"another process has held it for {patience:g} s", str(lock))
        time.sleep(pause * (0.5 + os.urandom(1)[0] / 512))  # so that waiters do not march in step
        pause = min(2 * pause, _LONGEST_PAUSE)


def release_lock(handle: int) -> None:
    """Let the next one in. Not by closing alone: a child forked meanwhile has the descriptor too."""
    try:
        fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        os.close(handle)


def _open_lock(lock: Path, what: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
    handle = os.open(lock, flags, 0o600)
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
