"""The files of certificates and data objects, shared by all processes of the user.

One file for each object, in a directory for each device (named by its identity), beside the
configuration in use, else in the user's data directory; readable by the owner alone. A file is
replaced whole, under the directory's lock, and memory follows it: what could not be written has not
changed. A file that cannot be used is named in the log, left alone, and hides no other.
"""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from hem_pkcs11.constants import CKA, CKR
from hem_pkcs11.log import log
from hem_pkcs11.objects.stored import StoredObject
from hem_pkcs11.objects.stored_form import decoded, encoded
from hem_pkcs11.returns import Pkcs11Error
from hem_provider.errors import HemConfigError
from hem_provider.files import (
    data_home,
    make_folders,
    read_entry,
    release_lock,
    replace_file,
    sweep,
    take_lock,
)
from hem_provider.records import field, mutable
from hem_provider.trust import check_folders, check_status

__all__ = ["Changes", "Store", "store_directory"]

MAX_OBJECTS = 10_000
#: Largest file, in bytes: a value of about 1.5 MB.
MAX_FILE = 2**21
#: Longest wait for other writers, in seconds. Each holds the lock for milliseconds.
LOCK_SECONDS = 10.0
_LOCK = ".lock"
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")
_NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS})
#: What tells one content of a file from the next: a new one is another file.
_Mark = tuple[int, int, int, int]


def store_directory(source: str) -> Path | None:
    """Where objects are kept: beside the configuration file ``source``, else in the user's data
    directory; ``None`` where there is no such place."""
    path = Path(source)
    if path.is_absolute():
        return path.parent / "pkcs11-objects"
    place = data_home()
    return None if place is None else place / "hem" / "pkcs11-objects"


@mutable
class Changes:
    """What other processes did since the last look; objects that changed are as they are now."""

    added: list[StoredObject] = field(default_factory=list)
    gone: list[StoredObject] = field(default_factory=list)


@mutable
class _Known:
    mark: _Mark
    item: StoredObject | None  # None: the file cannot be used, which was said


class Store:
    """The files of one device. Safe for threads and processes. Constructing does no I/O."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._lock = threading.RLock()
        self._known: dict[str, _Known] = {}
        self._complaint = ""

    # --- reading ------------------------------------------------------------------------------------

    def refresh(self) -> Changes:
        """Look at the directory and read what is new or changed in it; no device call.

        Where the directory cannot be used now, what is known from before stays.
        """
        changes = Changes()
        with self._lock:
            if self._directory is None:
                return changes
            try:
                found = self._listed(self._directory)
            except (OSError, HemConfigError) as error:
                place = self._directory
                self._complain(f"{place}: not used: {_reason(error).removeprefix(f'{place}: ')}")
                return changes
            self._complaint = ""
            for name in [each for each in self._known if each not in found]:
                self._forget(name, changes)
            for name, mark in found.items():
                known = self._known.get(name)
                if known is None or known.mark != mark:
                    self._take(name, mark, changes)
        return changes

    def _listed(self, directory: Path) -> dict[str, _Mark]:
        if not directory.is_dir():
            return {}
        check_folders(directory / _LOCK, "the certificates and data objects")
        found: dict[str, _Mark] = {}
        with os.scandir(directory) as entries:
            files = sorted((each.name, each) for each in entries if each.name.endswith(".json"))
            for name, each in files[:MAX_OBJECTS]:
                with suppress(FileNotFoundError):  # removed meanwhile
                    found[name.removesuffix(".json")] = _mark(each.stat(follow_symlinks=False))
        return found

    def _take(self, name: str, mark: _Mark, changes: Changes) -> None:
        before = self._known.get(name)
        fresh = None
        try:
            fresh, mark = self._read(name)
        except FileNotFoundError:
            return  # removed meanwhile: the next look tells
        except (OSError, ValueError, HemConfigError, RecursionError) as error:
            path = self._path(name)
            log.error(f"{path}: not used: {_reason(error).removeprefix(f'{path}: ')}")
        item = before.item if before is not None else None
        if item is not None and fresh is not None and item.object_class == fresh.object_class:
            item.take_over(fresh)
            fresh = item
        else:
            if item is not None:
                changes.gone.append(item)
            if fresh is not None:
                changes.added.append(fresh)
        self._known[name] = _Known(mark, fresh)

    def _forget(self, name: str, changes: Changes) -> None:
        item = self._known.pop(name).item
        if item is not None:
            changes.gone.append(item)

    def _read(self, name: str) -> tuple[StoredObject, _Mark]:
        """Raises ``OSError``, ``ValueError``, ``HemConfigError`` or ``RecursionError``."""
        if not _NAME.fullmatch(name):
            raise ValueError("a name that no file of this store has")
        path = self._path(name)
        data, seen = read_entry(path, MAX_FILE)
        check_status(path, seen, "the stored object")
        if len(data) > MAX_FILE:
            raise ValueError(f"over {MAX_FILE} bytes")
        item = decoded(data, name)
        if item.private:
            check_status(path, seen, "the private object", secret=True)
        return item, _mark(seen)

    def _complain(self, text: str) -> None:
        if text != self._complaint:
            log.error(text)
        self._complaint = text

    # --- writing ------------------------------------------------------------------------------------

    def save(self, item: StoredObject) -> None:
        """Write a new object's file: whole, or not at all. Raises CKR_DEVICE_MEMORY."""
        with self._writing() as directory:
            if len(self._known) >= MAX_OBJECTS:
                raise Pkcs11Error(CKR.DEVICE_MEMORY, f"{directory}: {MAX_OBJECTS} objects are there already")
            self._write(item)
            self._known[item.name].item = item

    def change(self, item: StoredObject, changes: Mapping[int, bytes]) -> None:
        """Change an object in its file, as the file is now, and then in memory.

        Raises CKR_OBJECT_HANDLE_INVALID when another process has removed it, CKR_ACTION_PROHIBITED when it
        has made it unmodifiable, CKR_DEVICE_MEMORY when it cannot be written; then nothing has changed.
        """
        with self._writing():
            fresh = self._current(item)
            differ = any(fresh.values.get(kind) != value for kind, value in changes.items())
            if differ and not fresh.flag(CKA.MODIFIABLE):
                raise Pkcs11Error(
                    CKR.ACTION_PROHIBITED, f"another process has made {item.describe()} unmodifiable"
                )
            fresh.change(changes)
            self._write(fresh)
            item.take_over(fresh)

    def delete(self, item: StoredObject) -> None:
        """Remove the object's file. Raises CKR_DEVICE_ERROR; then it is still there."""
        with self._writing():
            path = self._path(item.name)
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise Pkcs11Error(CKR.DEVICE_ERROR, f"{path}: cannot remove: {error.strerror}") from None
            self._known.pop(item.name, None)

    def _current(self, item: StoredObject) -> StoredObject:
        path = self._path(item.name)
        try:
            return self._read(item.name)[0]
        except FileNotFoundError:
            raise Pkcs11Error(
                CKR.OBJECT_HANDLE_INVALID, f"{path}: another process has removed {item.describe()}"
            ) from None
        except (OSError, ValueError, HemConfigError, RecursionError) as error:
            raise Pkcs11Error(CKR.DEVICE_ERROR, f"{path}: cannot be used: {_reason(error)}") from None

    def _write(self, item: StoredObject) -> None:
        path = self._path(item.name)
        data = encoded(item)
        if len(data) > MAX_FILE:
            raise Pkcs11Error(
                CKR.DEVICE_MEMORY, f"{item.describe()} would take {len(data)} bytes; at most {MAX_FILE} fit"
            )
        try:
            mark = _mark(replace_file(path, data))
        except OSError as error:
            raise Pkcs11Error(CKR.DEVICE_MEMORY, f"{path}: cannot write: {error.strerror}") from None
        known = self._known.get(item.name)
        self._known[item.name] = _Known(mark, known.item if known is not None else None)

    @contextmanager
    def _writing(self) -> Iterator[Path]:
        """Alone among the threads and processes that write into the directory, which is made."""
        with self._lock:
            directory = self._existing()
            handle = _locked(directory)
            try:
                sweep(directory)
                yield directory
            finally:
                if handle is not None:
                    release_lock(handle)

    def _existing(self) -> Path:
        if self._directory is None:
            raise Pkcs11Error(
                CKR.TOKEN_WRITE_PROTECTED,
                "there is no place for certificates and data objects: this user has no home",
            )
        try:
            make_folders(self._directory)
            check_folders(self._directory / _LOCK, "the certificates and data objects")
        except OSError as error:
            raise Pkcs11Error(
                CKR.TOKEN_WRITE_PROTECTED, f"{self._directory}: cannot be made: {error.strerror}"
            ) from None
        except HemConfigError as error:
            raise Pkcs11Error(CKR.TOKEN_WRITE_PROTECTED, str(error)) from None
        return self._directory

    def _path(self, name: str) -> Path:
        assert self._directory is not None  # noqa: S101 - without one there are no names
        return self._directory / f"{name}.json"


def _locked(directory: Path) -> int | None:
    """``None`` on a file system that has no locks: files are still replaced whole."""
    try:
        return take_lock(directory / _LOCK, "the lock of the certificates and data objects", LOCK_SECONDS)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        raise Pkcs11Error(
            CKR.DEVICE_MEMORY, f"{directory / _LOCK}: cannot be locked: {error.strerror}"
        ) from None


def _mark(seen: os.stat_result) -> _Mark:
    return seen.st_ino, seen.st_mtime_ns, seen.st_size, seen.st_mode


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
