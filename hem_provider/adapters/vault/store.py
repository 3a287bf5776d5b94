"""The vault's file: read whole, replaced whole, never seen half.

A writer holds the lock of a sibling file, writes a temporary file in the same directory, syncs it,
and renames it over the vault. A reader needs no lock: it sees the old file or the new one. A writer
that is killed leaves the vault as it was and at most a temporary file, which the next one removes.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import random
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from hem_provider.adapters.vault.errors import (
    VaultBusy,
    VaultDamaged,
    VaultError,
    VaultExists,
    VaultMissing,
    VaultUnwritable,
)
from hem_provider.adapters.vault.format import MAX_FILE
from hem_provider.errors import HemConfigError
from hem_provider.trust import check_not_writable_by_others, privileges_raised

__all__ = ["LOCK_SECONDS", "default_path", "is_vault", "locked", "read", "write", "write_new"]

#: Longest wait for other writers, in seconds. Each holds the lock for milliseconds.
LOCK_SECONDS = 60.0

_VARIABLE = "KEYRING_PROPERTY_VAULT"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def default_path() -> Path:
    """``$KEYRING_PROPERTY_VAULT``, else ``hem/keyring.vault`` in the user's data directory.

    ``HemConfigError`` in a process with raised privileges, whose environment is somebody else's.
    """
    if privileges_raised():
        raise HemConfigError("the keyring is not for processes with raised privileges")
    if given := os.environ.get(_VARIABLE):
        return Path(given)
    base = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")  # noqa: PTH111 - no home is no error
    return Path(base) / "hem" / "keyring.vault"


def is_vault(path: Path) -> bool:
    """Whether there is a file; one ``stat``, nothing is read."""
    return os.path.isfile(path)  # noqa: PTH113 - no right to look is no vault, not an error


def read(path: Path) -> bytes:
    """The whole file. ``VaultMissing``; ``HemConfigError`` when others may write it or its
    directory; ``VaultDamaged`` over 256 MiB; ``VaultError`` when it cannot be read."""
    try:
        check_not_writable_by_others(path, "the vault")
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except FileNotFoundError:
        raise VaultMissing(f"{path}: there is no vault; make one with: hem keyring init") from None
    except OSError as error:
        raise VaultError(f"{path}: the vault cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE:
        raise VaultDamaged(f"{path}: over {MAX_FILE} bytes; no vault is as large")
    return data


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other writers out, of this process and others. ``VaultBusy`` after 60 s."""
    lock = _beside(path.resolve(), ".lock")
    descriptor = _acquire(lock, time.monotonic() + LOCK_SECONDS)
    try:
        yield
    finally:
        # Unlocked by name, not by closing: a child forked meanwhile keeps the descriptor open.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def write(path: Path, data: bytes) -> None:
    """Replace the file; the caller holds the lock. ``VaultUnwritable``: then it is as it was."""
    if len(data) > MAX_FILE:
        raise VaultUnwritable(
            f"{path}: the vault would have {len(data)} bytes; at most {MAX_FILE} are read again"
        )
    real = path.resolve()
    try:
        _remove_left_behind(real)
        temporary = _temporary(real, data)
        try:
            temporary.replace(real)
        except BaseException:
            temporary.unlink()
            raise
    except OSError as error:
        raise VaultUnwritable(
            f"{path}: the vault cannot be written: {error.strerror}; it is as it was before"
        ) from error
    _sync_directory(real.parent)


def write_new(path: Path, data: bytes) -> None:
    """Write a file that is not there yet, and the directories above it (0700).

    ``VaultExists``; ``VaultUnwritable``; ``HemConfigError`` when others may write the directory.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(path):
            if path.is_symlink() or path.exists():
                raise VaultExists(f"{path}: there is a vault already")
            write(path, data)
    except OSError as error:
        raise VaultUnwritable(f"{path}: the vault cannot be made: {error.strerror}") from error


def _acquire(lock: Path, deadline: float) -> int:
    pause = _FIRST_PAUSE
    while True:
        descriptor = _open_lock(lock)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_same(descriptor, lock):
                return descriptor
        except BlockingIOError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise VaultBusy(f"{lock}: another process has held this lock for {LOCK_SECONDS:g} s")
        time.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - so that waiters do not march in step
        pause = min(2 * pause, _LONGEST_PAUSE)


def _open_lock(lock: Path) -> int:
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise VaultUnwritable(f"{lock}: the vault's lock cannot be opened: {error.strerror}") from error
    try:
        check_not_writable_by_others(lock, "the vault's lock")
    except FileNotFoundError:
        pass  # removed meanwhile: found out after locking
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _is_same(descriptor: int, lock: Path) -> bool:
    """Whether the locked file still is the one under its name: somebody may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), lock.stat())
    except FileNotFoundError:
        return False


def _temporary(real: Path, data: bytes) -> Path:
    temporary = _beside(real, f".{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, _NEW, 0o600)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        temporary.unlink()
        raise
    return temporary


def _remove_left_behind(real: Path) -> None:
    """Temporary files of writers that were killed; no other writer is at work now."""
    for each in real.parent.glob(f".{glob.escape(real.name)}.*.tmp"):
        each.unlink(missing_ok=True)


def _sync_directory(folder: Path) -> None:
    """Make the new name last. The file is whole and in place whatever this does; some file systems
    do not offer it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name}{suffix}")
