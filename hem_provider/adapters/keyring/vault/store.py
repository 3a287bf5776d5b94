"""The vault's file: read whole, replaced whole, never seen half.

A writer holds the lock of a sibling file, writes a temporary file in the same directory, syncs it,
and renames it over the vault. A reader needs no lock: it sees the old file or the new one. A writer
that is killed leaves the vault as it was and at most a temporary file, which the next one removes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from hem_provider import files
from hem_provider.adapters.keyring.vault.errors import (
    VaultBusy,
    VaultDamaged,
    VaultError,
    VaultExists,
    VaultMissing,
    VaultUnwritable,
)
from hem_provider.adapters.keyring.vault.format import MAX_FILE
from hem_provider.errors import HemConfigError
from hem_provider.trust import privileges_raised

__all__ = ["LOCK_SECONDS", "default_path", "is_vault", "locked", "read", "write", "write_new"]

#: Longest wait for other writers, in seconds. Each holds the lock for milliseconds.
LOCK_SECONDS = 60.0

_VARIABLE = "KEYRING_PROPERTY_VAULT"


def default_path() -> Path:
    """``$KEYRING_PROPERTY_VAULT``, else ``hem/keyring.vault`` in the user's data directory.

    ``HemConfigError`` in a process with raised privileges, whose environment is somebody else's, and
    where the user has no home.
    """
    if privileges_raised():
        raise HemConfigError("the keyring is not for processes with raised privileges")
    if given := os.environ.get(_VARIABLE):
        return files.named_path(given)
    place = files.data_home()
    if place is None:
        raise HemConfigError(
            f"there is no place for a vault: this user has no home; name the file in {_VARIABLE}"
        )
    return place / "hem" / "keyring.vault"


def is_vault(path: Path) -> bool:
    """Whether there is a file; one ``stat``, nothing is read."""
    return os.path.isfile(path)  # noqa: PTH113 - no right to look is no vault, not an error


def read(path: Path) -> bytes:
    """The whole file. ``VaultMissing``; ``HemConfigError`` when others may write it or its
    directory; ``VaultDamaged`` over 256 MiB; ``VaultError`` when it cannot be read."""
    try:
        data = files.read_file(path, "the vault", limit=MAX_FILE)
    except FileNotFoundError:
        raise VaultMissing(f"{path}: there is no vault; make one with: hem keyring init") from None
    except OSError as error:
        raise VaultError(f"{path}: the vault cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE:
        raise VaultDamaged(f"{path}: over {MAX_FILE} bytes; no vault is as large")
    return data


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other writers out, of this process and others. ``VaultBusy`` after 60 s. ``VaultUnwritable``
    when the lock cannot be had at all."""
    real = Path(os.path.realpath(path))
    lock = real.with_name(f".{real.name}.lock")
    try:
        descriptor = files.take_lock(lock, "the vault's lock", LOCK_SECONDS)
    except TimeoutError:
        raise VaultBusy(f"{lock}: another process has held this lock for {LOCK_SECONDS:g} s") from None
    except OSError as error:
        raise VaultUnwritable(f"{lock}: the vault's lock cannot be had: {error.strerror}") from error
    try:
        yield
    finally:
        files.release_lock(descriptor)


def write(path: Path, data: bytes) -> None:
    """Replace the file; the caller holds the lock. ``VaultUnwritable``: then it is as it was."""
    if len(data) > MAX_FILE:
        raise VaultUnwritable(
            f"{path}: the vault would have {len(data)} bytes; at most {MAX_FILE} are read again"
        )
    real = Path(os.path.realpath(path))
    try:
        files.sweep(real.parent, real.name, age=0)  # of writers that were killed: no other is at work now
        files.replace_file(real, data)
    except OSError as error:
        raise VaultUnwritable(
            f"{path}: the vault cannot be written: {error.strerror}; it is as it was before"
        ) from error


def write_new(path: Path, data: bytes) -> None:
    """Write a file that is not there yet, and the directories above it (0700).

    ``VaultExists``; ``VaultUnwritable``; ``HemConfigError`` when others may write the directory.
    """
    try:
        files.make_folders(path.parent)
        with locked(path):
            if path.is_symlink() or path.exists():
                raise VaultExists(f"{path}: there is a vault already")
            write(path, data)
    except OSError as error:
        raise VaultUnwritable(f"{path}: the vault cannot be made: {error.strerror}") from error
