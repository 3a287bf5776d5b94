"""The state file: one SQLite database that every process emulating this device shares.

A request is one ``BEGIN IMMEDIATE`` transaction, so requests are processed one at a time, as on the device,
and each leaves all of its changes or none. The write-ahead log with ``synchronous=NORMAL`` keeps every
acknowledged change when the process is killed; only a power failure of the host could lose the last ones,
which is no goal here.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hem_provider.emulator.codec import pack, unpack
from hem_provider.emulator.encodings import compact_json
from hem_provider.emulator.state import State

__all__ = ["StateFileError", "Store"]

_APPLICATION_ID = 0x48454D31  # "HEM1"
_SCHEMA = """
CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), generation INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE slot (
    slot INTEGER PRIMARY KEY AUTOINCREMENT, kid BLOB NOT NULL, type TEXT NOT NULL, modes TEXT NOT NULL,
    attested INTEGER NOT NULL, private INTEGER NOT NULL, label TEXT NOT NULL, descr BLOB NOT NULL,
    created INTEGER NOT NULL, updated INTEGER NOT NULL, secret BLOB NOT NULL, public BLOB NOT NULL);
CREATE UNIQUE INDEX slot_kid ON slot (kid);
CREATE TABLE tombstone (
    slot INTEGER PRIMARY KEY, kid BLOB NOT NULL, imported INTEGER NOT NULL, boot INTEGER NOT NULL);
CREATE INDEX tombstone_kid ON tombstone (kid);
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE nonce (nonce BLOB PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE log (file TEXT NOT NULL, seq INTEGER NOT NULL, line TEXT NOT NULL, PRIMARY KEY (file, seq))
WITHOUT ROWID;
CREATE TABLE cloud (kind TEXT NOT NULL, id TEXT NOT NULL, until REAL NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (kind, id)) WITHOUT ROWID;
"""

_inherited: list[sqlite3.Connection] = []
"""Connections of a parent that forked behind Python's back: never used, never closed here."""
_stores: weakref.WeakSet[Store] = weakref.WeakSet()
_forking: list[Store] = []


class StateFileError(RuntimeError):
    """The state file cannot be used: foreign content, no permission, or locked for too long."""


class Store:
    """The database behind one emulated device; safe for threads, processes and fork."""

    def __init__(self, path: str | os.PathLike[str], *, busy_seconds: float = 30.0) -> None:
        self.path = Path(path)
        self._busy_seconds = busy_seconds
        self._lock = threading.RLock()
        self._pid = -1
        self._connection: sqlite3.Connection | None = None
        self._cached: tuple[int, State] | None = None
        self._closed = False
        _stores.add(self)

    @property
    def database(self) -> sqlite3.Connection:
        """The connection; inside ``transaction`` only. ``StateFileError`` when it is closed."""
        if self._connection is None:
            raise StateFileError(f"{self.path}: the emulated device is closed")
        return self._connection

    def _open(self) -> None:
        if self._closed:
            raise StateFileError(f"{self.path}: the emulated device is closed")
        if self._connection is not None:
            _inherited.append(self._connection)
        self._connection = None
        self._cached = None
        try:
            self._make()
            connection = sqlite3.connect(
                self.path, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise StateFileError(f"cannot open emulator state {self.path}: {error}") from error
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("BEGIN IMMEDIATE")
            found = connection.execute("PRAGMA application_id").fetchone()[0]
            if found == 0 and not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            elif found != _APPLICATION_ID:
                raise StateFileError(f"{self.path} is a database of another program, not an emulator state")
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            connection.close()
            raise StateFileError(f"{self.path} is not a usable emulator state: {error}") from error
        except StateFileError:
            connection.close()
            raise
        self._connection = connection
        self._pid = os.getpid()

    def _make(self) -> None:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise StateFileError(f"{self.path} is not a regular file")
            # Nobody else may read the keys, and root leaves no files that the owner cannot use.
            if found.st_uid != os.geteuid():
                raise StateFileError(f"{self.path} belongs to another user (uid {found.st_uid})")
        finally:
            os.close(descriptor)

    @contextmanager
    def transaction(self) -> Iterator[bool]:
        """Run the block as one transaction, alone among all threads and processes of this device.

        Re-entrant; the value is ``True`` for the outermost one. ``StateFileError`` when the file cannot be
        used, is busy for too long, or cannot be written; nothing has changed then.
        """
        with self._lock:
            if self._connection is None or self._pid != os.getpid():
                self._open()
            database = self.database
            if database.in_transaction:
                yield False
                return
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                raise StateFileError(f"{self.path}: {error}") from error
            try:
                yield True
                database.execute("COMMIT")
            except BaseException as error:
                self._cached = None
                with suppress(sqlite3.Error):
                    database.execute("ROLLBACK")
                if isinstance(error, sqlite3.DatabaseError):  # damaged, or the disk is full
                    raise StateFileError(f"{self.path}: {error}") from error
                raise

    def close(self) -> None:
        """Close for good; the last process out folds the write-ahead log into the file."""
        with self._lock:
            self._closed = True
            self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None and self._pid == os.getpid():
            self._connection.close()
        self._connection = None

    def before_fork(self) -> None:
        """Finish what runs and close, so that no connection crosses the fork; both sides open again when
        needed."""
        self._lock.acquire()
        if self._connection is not None and not self._connection.in_transaction:
            self._disconnect()

    def after_fork(self, *, child: bool) -> None:
        """Go on in the parent; in the child with a lock of its own."""
        if child:
            self._lock = threading.RLock()
        else:
            self._lock.release()

    def load(self) -> State | None:
        """The state, from memory unless another process changed it; ``None`` in a new file.
        ``StateFileError`` when it is damaged."""
        row = self.database.execute("SELECT generation FROM state").fetchone()
        if row is None:
            return None
        if self._cached is None or self._cached[0] != row[0]:
            body = self.database.execute("SELECT body FROM state").fetchone()[0]
            try:
                self._cached = (row[0], unpack(State, json.loads(body)))
            except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
                raise StateFileError(
                    f"{self.path}: its state is damaged or of another release ({type(error).__name__})"
                ) from error
        return self._cached[1]

    def save(self, state: State) -> None:
        """Replace the state within the running transaction."""
        row = self.database.execute(
            "INSERT INTO state (id, generation, body) VALUES (1, 1, ?) ON CONFLICT (id)"
            " DO UPDATE SET generation = generation + 1, body = excluded.body RETURNING generation",
            (compact_json(pack(state)),),
        ).fetchone()
        self._cached = (row[0], state)


def _before_fork() -> None:
    _forking[:] = _stores
    for store in _forking:
        store.before_fork()


def _after_fork(*, child: bool) -> None:
    for store in _forking:
        store.after_fork(child=child)
    _forking.clear()


if hasattr(os, "register_at_fork"):  # else there is no fork either
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=lambda: _after_fork(child=False),
        after_in_child=lambda: _after_fork(child=True),
    )
