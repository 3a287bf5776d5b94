"""A device's audit log: reading and verifying it (device API §14).

A file begins with a key record: a MAC key signed with the device's Ed25519 log key. Each record
carries a 16-byte MAC of its own line. Lines are not chained, so a missing one shows only as a gap
in the numbers: ``LogReport.problems`` lists those too.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import re
from collections.abc import Iterator

from hem_provider.device.login import LoginSession
from hem_provider.errors import HemAnswerFault
from hem_provider.records import frozen
from hem_provider.rest import logger
from hem_provider.rest.encoding import unb64

__all__ = ["AuditLog", "Event", "LogRecord", "LogReport", "Result", "verify_log"]

_FIELDS = 7
_MAC = 16
_NUMBER = re.compile(r"[0-9A-Fa-f]{1,16}")


class Event(enum.IntEnum):
    """What a record is about (device API §14.5)."""

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
    LOGGER_DELETE_LOG = 10
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
    KEY_USAGE_PKEY = 23
    KEY_INTEGRITY_ERROR = 24
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
    """How it went (device API §14.3)."""

    OK = 0
    FAILED = 1
    ERROR = 2


@frozen
class LogRecord:
    """One line. ``time``: Unix seconds in the device's clock; ``event`` and ``result`` are plain
    numbers where they are not known; ``actor``: ``U``, ``M``, a phone, or empty for the device
    itself; ``line``: its place in the file, from 1. ``genuine``: the MAC is right, under a MAC key
    that the log key signed."""

    line: int
    number: int
    time: int
    event: Event | int
    result: Result | int
    actor: str
    data: str
    genuine: bool


@frozen
class LogReport:
    """A file's records and what is wrong with it, in words; no problems: complete and genuine, as
    far as a file without its successor can tell. ``firmware`` is what the file's head says, which no MAC
    covers."""

    firmware: str
    records: tuple[LogRecord, ...]
    problems: tuple[str, ...]


class AuditLog:
    """``hem.audit``. Takes a login with ``logger:get``, as user or master. Files are kept by USB
    devices only."""

    def __init__(self, session: LoginSession) -> None:
        self._session = session

    def key(self) -> bytes:
        """The Ed25519 key (32 bytes) that vouches for the log; it has just proven itself.

        Keep it from a time you trust the device: a wiped device has another.
        ``HemAnswerFault`` when the proof is wrong.
        """
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        found = self._session.run(logger.key())
        try:
            Ed25519PublicKey.from_public_bytes(found.key).verify(found.signature, found.nonce)
        except (InvalidSignature, ValueError):
            raise HemAnswerFault("the device's log key does not prove itself") from None
        return found.key

    def files(self) -> list[str]:
        """The ids of all files, 8 hex digits each, oldest first. The last is being written and cannot be
        read yet."""

        found: list[str] = []
        while True:
            ids, total = self._session.run(logger.list_files(len(found)))
            found += ids
            if not ids or len(found) >= total:
                return found

    def read(self, file_id: str) -> bytes:
        """One finished file, as it is. ``ValueError`` unless the id is 8 hex digits."""
        return self._session.run(logger.read(file_id))

    def verify(self, file_id: str, *, key: bytes | None = None) -> LogReport:
        """Read and verify a file, under ``key`` (32 bytes) or what the device says its key is."""
        return verify_log(self.read(file_id), self.key() if key is None else key)

    def __repr__(self) -> str:
        return f"<AuditLog of {self._session.rest.channel.config.name}>"


def verify_log(content: bytes, key: bytes) -> LogReport:
    """Check a file with the device's log key (32 bytes). Never raises for what is in the file."""
    problems: list[str] = []
    records: list[LogRecord] = []
    firmware = ""
    mac_key: bytes | None = None
    first_unknown = 0
    for line, text in _lines(content):
        if text.startswith("#"):
            firmware = firmware or text[1:].strip()
            continue
        fields = text.split("|")
        if len(fields) != _FIELDS:
            if text.strip():
                problems.append(f"line {line}: not a record")
            continue
        if not all(map(_NUMBER.fullmatch, fields[:4])):
            problems.append(f"line {line}: not a record")
            continue
        number, time, kind, outcome = (int(each, 16) for each in fields[:4])
        if kind == Event.KEY_INIT and outcome == Result.OK:
            mac_key = _signed_key(fields[4], fields[5], key)
            if mac_key is None:
                problems.append(f"line {line}: its MAC key is not signed by the device's log key")
        genuine = mac_key is not None and _mac_is_right(mac_key, text)
        if mac_key is not None and not genuine:
            problems.append(f"line {line}: changed after it was written")
        elif mac_key is None and not first_unknown and (kind, outcome) != (Event.KEY_INIT, Result.OK):
            first_unknown = line
        if records and number != records[-1].number + 1:
            problems.append(f"line {line}: number {number} follows {records[-1].number}")
        elif not records and number > 1:
            problems.append(f"line {line}: the file begins with number {number}")
        records.append(
            LogRecord(
                line,
                number,
                time,
                _known(Event, kind),
                _known(Result, outcome),
                fields[4],
                fields[5],
                genuine,
            )
        )
    if not records:
        problems.append("no records")
    elif mac_key is None:
        problems.append("no MAC key: nothing could be verified")
    elif first_unknown:
        problems.insert(0, f"line {first_unknown}: stands before the MAC key, so that nothing vouches for it")
    return LogReport(firmware, tuple(records), tuple(problems))


def _lines(content: bytes) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(content.split(b"\n"), 1):
        yield number, line.removesuffix(b"\r").decode("utf-8", "replace")


def _known(kind: type[Event] | type[Result], value: int) -> int:
    try:
        return kind(value)
    except ValueError:
        return value


def _signed_key(text: str, signature: str, key: bytes) -> bytes | None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        found = unb64(text)
        Ed25519PublicKey.from_public_bytes(key).verify(unb64(signature), found)
    except (InvalidSignature, ValueError):
        return None
    return found


def _mac_is_right(mac_key: bytes, text: str) -> bool:
    covered, _, mac = text.rpartition("|")
    expected = hmac.digest(mac_key, f"{covered}|".encode(), hashlib.sha256)[:_MAC]
    try:
        return hmac.compare_digest(unb64(mac), expected)
    except ValueError:
        return False
