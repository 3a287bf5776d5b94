"""The key repository: ordered slots in the state file, with the device's rule on duplicates (device API §11).

Pages come from an in-memory index of slots, rebuilt when the repository's change counter moved, so that a
page costs the same wherever it lies.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hem_provider.emulator.keytypes import CERTIFICATE, DER_KEY, KEY_TYPES, KeyType
from hem_provider.emulator.store import Store

__all__ = ["Record", "Repository", "RepositoryFull"]

_COLUMNS = "slot, kid, type, modes, attested, private, label, descr, created, updated, secret, public"
_SELECT = f"SELECT {_COLUMNS} FROM slot "  # noqa: S608 - a constant


class RepositoryFull(RuntimeError):
    """No slot is free, even after compaction."""


@dataclass(frozen=True, slots=True)
class Record:
    """One stored key or certificate. Times are Unix seconds in device time."""

    kid: bytes
    type: str
    label: str
    descr: bytes
    created: int
    updated: int
    modes: tuple[str, ...] = ()
    attested: bool = False
    private: bool = False
    secret: bytes = b""
    public: bytes = b""
    slot: int = 0

    @property
    def kind(self) -> KeyType | None:
        """The key type; ``None`` for the TLS records."""
        return KEY_TYPES.get(self.type)

    @property
    def attributes(self) -> str:
        """The type string of list and search (device API §11.1)."""
        tokens = ["ATT"] if self.attested else []
        if self.type == CERTIFICATE:
            return "CERT,GENERIC_DER"
        if self.type == DER_KEY:
            return "ATT,PKEY,GENERIC_DER"
        if self.private:
            tokens.append("PKEY")
        if self.kind is not None and self.kind.post_quantum:
            tokens.append("PQC")
        return ",".join((*tokens, *self.modes, self.type))


def _record(row: Sequence[object]) -> Record:
    slot, kid, kind, modes, attested, private, label, descr, created, updated, secret, public = row
    return Record(
        slot=slot,  # type: ignore[arg-type]
        kid=kid,  # type: ignore[arg-type]
        type=kind,  # type: ignore[arg-type]
        modes=tuple(part for part in str(modes).split(",") if part),
        attested=bool(attested),
        private=bool(private),
        label=label,  # type: ignore[arg-type]
        descr=descr,  # type: ignore[arg-type]
        created=created,  # type: ignore[arg-type]
        updated=updated,  # type: ignore[arg-type]
        secret=secret,  # type: ignore[arg-type]
        public=public,  # type: ignore[arg-type]
    )


class Repository:
    """Access to the slots; every method runs inside a transaction of the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._index: tuple[int, tuple[int, ...]] = (-1, ())
        self._hits: dict[tuple[int, bytes, bool, bool, int], tuple[int, ...]] = {}

    @property
    def _database(self) -> sqlite3.Connection:
        return self._store.database

    def _version(self) -> int:
        row = self._database.execute("SELECT value FROM counter WHERE name = 'repository'").fetchone()
        return row[0] if row else 0

    def _changed(self) -> None:
        # A random version, not a count: after a rollback the same count could come back with other content.
        self._database.execute(
            "INSERT INTO counter (name, value) VALUES ('repository', ?) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (secrets.randbits(62),),
        )

    def slots(self) -> tuple[int, ...]:
        """All live slots in storage order."""
        version = self._version()
        if self._index[0] != version:
            rows = self._database.execute("SELECT slot FROM slot ORDER BY slot").fetchall()
            self._index = (version, tuple(row[0] for row in rows))
            self._hits.clear()
        return self._index[1]

    def matching(self, needle: bytes, *, at_start: bool, at_end: bool, limit: int) -> tuple[int, ...]:
        """Live slots whose descr, cut to ``limit`` bytes, starts with, ends with, equals or contains
        ``needle``."""
        self.slots()
        key = (self._index[0], needle, at_start, at_end, limit)
        if key not in self._hits:
            if len(self._hits) > 32:
                self._hits.clear()
            rows = self._database.execute(
                "SELECT slot, descr FROM slot WHERE instr(descr, ?) > 0 ORDER BY slot", (needle,)
            )
            self._hits[key] = tuple(
                slot
                for slot, descr in rows
                if _matches(descr[:limit], needle, at_start=at_start, at_end=at_end)
            )
        return self._hits[key]

    def read(self, slots: Sequence[int]) -> list[Record]:
        """The records of some live slots, in the order given; at most a page at a time."""
        rows = self._database.execute(
            f"{_SELECT} WHERE slot IN (SELECT value FROM json_each(?)) ORDER BY slot",  # noqa: S608
            (json.dumps(slots),),
        )
        return [_record(row) for row in rows]

    def find(self, kid: bytes) -> Record | None:
        """The live record with this id."""
        row = self._database.execute(_SELECT + "WHERE kid = ?", (kid,)).fetchone()
        return _record(row) if row else None

    def with_descr(self, descr: bytes) -> list[Record]:
        """All records with exactly this descr."""
        rows = self._database.execute(_SELECT + "WHERE descr = ? ORDER BY slot", (descr,))
        return [_record(row) for row in rows]

    def has_secret(self, kind: str, secret: bytes) -> bool:
        """``True`` when a key of this type has exactly this secret part."""
        found = self._database.execute(
            "SELECT 1 FROM slot WHERE type = ? AND secret = ?", (kind, secret)
        ).fetchone()
        return found is not None

    def is_duplicate(self, kid: bytes, *, boot: int | None) -> bool:
        """``True`` when the id exists, or existed as an import deleted before this ``boot`` (``None``: ignore
        deleted)."""
        if self._database.execute("SELECT 1 FROM slot WHERE kid = ?", (kid,)).fetchone():
            return True
        if boot is None:
            return False
        found = self._database.execute(
            "SELECT 1 FROM tombstone WHERE kid = ? AND imported AND boot < ?", (kid, boot)
        ).fetchone()
        return found is not None

    def add(self, record: Record, *, capacity: int) -> None:
        """Store a new record; ``RepositoryFull`` when ``capacity`` live records exist."""
        live = int(self._database.execute("SELECT count(*) FROM slot").fetchone()[0])
        if live >= capacity:
            raise RepositoryFull(f"{live} of {capacity} slots in use")
        if live + self.dead() >= capacity:
            self._database.execute("DELETE FROM tombstone")  # compaction
        self.fill([record])

    def fill(self, records: Iterable[Record]) -> None:
        """Store new records, whose KIDs are new, whatever the capacity."""
        self._database.executemany(
            "INSERT INTO slot"
            " (kid, type, modes, attested, private, label, descr, created, updated, secret, public)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (each.kid, each.type, ",".join(each.modes), each.attested, each.private, each.label,
                 each.descr, each.created, each.updated, each.secret, each.public)
                for each in records
            ),
        )  # fmt: skip
        self._changed()

    def rewrite(self, record: Record, *, label: str, descr: bytes, now: int) -> Record:
        """Replace label and descr of a record."""
        self._database.execute(
            "UPDATE slot SET label = ?, descr = ?, updated = ? WHERE slot = ?",
            (label, descr, now, record.slot),
        )
        self._changed()
        return replace(record, label=label, descr=descr, updated=now)

    def delete(self, record: Record, *, boot: int) -> None:
        """Mark a slot deleted: the key material is gone, the slot stays taken until compaction."""
        imported = not record.private and record.public != b""
        self._database.execute("DELETE FROM slot WHERE slot = ?", (record.slot,))
        self._database.execute(
            "INSERT INTO tombstone (slot, kid, imported, boot) VALUES (?, ?, ?, ?)",
            (record.slot, record.kid, imported, boot),
        )
        self._changed()

    def dead(self) -> int:
        """Number of deleted slots not yet compacted."""
        return int(self._database.execute("SELECT count(*) FROM tombstone").fetchone()[0])

    def erase(self, *, keep: Sequence[str] = ()) -> None:
        """Wipe: drop every slot but those of the types in ``keep``."""
        kept = json.dumps(list(keep))
        self._database.execute("DELETE FROM slot WHERE type NOT IN (SELECT value FROM json_each(?))", (kept,))
        self._database.execute("DELETE FROM tombstone")
        self._changed()

    def remove_type(self, kind: str) -> None:
        """Drop the records of one type, without a tombstone."""
        self._database.execute("DELETE FROM slot WHERE type = ?", (kind,))
        self._changed()


def _matches(descr: bytes, needle: bytes, *, at_start: bool, at_end: bool) -> bool:
    if at_start and at_end:
        return descr == needle
    if at_start:
        return descr.startswith(needle)
    if at_end:
        return descr.endswith(needle)
    return needle in descr
