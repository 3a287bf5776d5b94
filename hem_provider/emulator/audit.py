"""The audit log: numbered events, one file per power-up, a MAC per record (device API §14)."""

from __future__ import annotations

import enum
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ed25519

from hem_provider.emulator.encodings import to_b64url
from hem_provider.emulator.store import Store

__all__ = ["AuditLog", "Event", "LogKey", "Result", "format_record", "whole"]


class Event(enum.IntEnum):
    """Event numbers of device API §14.5; 10, 16, 17, 23, 27 and 28 never occur here,
    24 only where odd lines are ordered."""

    KEY_INIT = 0
    STARTUP = 1
    REBOOT = 2
    SHUTDOWN = 3
    UPGRADE = 4
    TRNG_FAILED = 5
    TLS_ERROR = 6
    SELFTEST_PASSED = 7
    NON_SECURE_STATE = 8
    LOGGER_LIST_LOG = 9
    LOGGER_READ_LOG = 11
    FAILED_SCOPE_CHECK = 12
    AUTH_SUCCESS_INTERNAL = 13
    AUTH_SUCCESS_EXTERNAL = 14
    AUTH_PAIRED_EXTERNAL = 15
    CONFIG_UPDATED = 18
    RTC_SET = 19
    KEY_GENERATION = 20
    KEY_DELETE = 21
    KEY_IMPORT = 22
    KEY_INTEGRITY_CHECK = 24
    KEY_ATTRIBUTES_CHANGED = 25
    KEY_DERIVE = 26
    DEVICE_INITED = 29
    CRYPTO_HMAC_HASH = 30
    CRYPTO_HMAC_VERIFY = 31
    CRYPTO_EXDSA_SIGN = 32
    CRYPTO_EXDSA_VERIFY = 33
    CRYPTO_WRAP = 34
    CRYPTO_UNWRAP = 35
    CRYPTO_ENCRYPT = 36
    CRYPTO_DECRYPT = 37
    CRYPTO_ECDH = 38
    CRYPTO_PQC_MLKEM_ENCAPS = 39
    CRYPTO_PQC_MLKEM_DECAPS = 40
    CRYPTO_PQC_MLDSA_SIGN = 41
    CRYPTO_PQC_MLDSA_VERIFY = 42


class Result(enum.IntEnum):
    """Outcome of an audited operation."""

    OK = 0
    FAILED = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class LogKey:
    """The MAC key of one log file and its signature by the device's log-signing key."""

    key: bytes
    signature: bytes


def format_record(key: bytes, fields: tuple[str, str, str, str, str, str]) -> str:
    """One line without its end: six fields, each followed by ``|``, then 16 bytes of HMAC-SHA256 over all of
    that."""
    text = "".join(f"{field}|" for field in fields)
    return text + to_b64url(hmac.digest(key, text.encode(), hashlib.sha256)[:16])


def whole(line: str | bytes) -> bytes:
    """A stored line as it stands in the file: text with its CRLF, bytes as they are."""
    return line if isinstance(line, bytes) else f"{line}\r\n".encode()


class AuditLog:
    """The log files in the state file; every method runs inside a transaction of the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def start_file(self, *, now: int, firmware: str, signing_key: bytes, base: int) -> tuple[str, bytes]:
        """Begin a file with its comment line and key record; returns its id and MAC key."""
        database = self._store.database
        newest = database.execute("SELECT max(file) FROM log").fetchone()[0]
        number = now if newest is None else max(now, int(newest, 16) + 1)
        file = f"{number:08x}"
        key = secrets.token_bytes(32)
        signature = ed25519.Ed25519PrivateKey.from_private_bytes(signing_key).sign(key)
        database.execute("INSERT INTO log VALUES (?, -1, ?)", (file, f"# Encedo nGINE FW v{firmware}"))
        self.append(
            file, key, now, Event.KEY_INIT, Result.OK, to_b64url(key), to_b64url(signature), base=base
        )
        return file, key

    def append(
        self,
        file: str,
        key: bytes,
        now: int,
        event: Event | int,
        result: Result,
        actor: str,
        data: str,
        *,
        base: int,
    ) -> None:
        """Add one record to a file."""
        database = self._store.database
        newest = database.execute("SELECT max(seq) FROM log WHERE file = ?", (file,)).fetchone()[0]
        number = 0 if newest is None else newest + 1
        sequence = f"{number:x}" if base == 16 else str(number)
        line = format_record(
            key, (sequence, f"{now & 0xFFFFFFFF:08x}", f"{event:x}", f"{result:x}", actor, data)
        )
        database.execute("INSERT INTO log VALUES (?, ?, ?)", (file, number, line))

    def files(self) -> list[str]:
        """Ids of all files, oldest first."""
        return [row[0] for row in self._store.database.execute("SELECT DISTINCT file FROM log ORDER BY file")]

    def read(self, file: str) -> bytes | None:
        """The whole text of a file; ``None`` when there is no such file."""
        rows = self.rows(file)
        return b"".join(whole(line) for _, line in rows) if rows else None

    def rows(self, file: str) -> list[tuple[int, str | bytes]]:
        """The lines of a file, each with its number, the first with -1. Text is a line of the device, bytes
        stand in the file as they are: they were ordered (``logdamage``)."""
        found = self._store.database.execute("SELECT seq, line FROM log WHERE file = ? ORDER BY seq", (file,))
        return found.fetchall()

    def put(self, file: str, rows: Iterable[tuple[int, str | bytes]]) -> None:
        """Let these be the lines of a file; none: there is no such file."""
        database = self._store.database
        database.execute("DELETE FROM log WHERE file = ?", (file,))
        database.executemany("INSERT INTO log VALUES (?, ?, ?)", ((file, *row) for row in rows))

    def erase(self) -> None:
        """Drop every file."""
        self._store.database.execute("DELETE FROM log")
