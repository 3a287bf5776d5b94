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
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping

from hem_provider.device.login import LoginSession
from hem_provider.errors import HemAnswerFault
from hem_provider.records import frozen
from hem_provider.rest import logger
from hem_provider.rest.encoding import unb64

__all__ = [
    "AuditLog",
    "Event",
    "FileCheck",
    "LogRecord",
    "LogReport",
    "Result",
    "lines_of",
    "record_of",
    "verify_log",
]

#: Bytes of a MAC and of the key that makes it.
_MAC, _KEY = 16, 32
#: Seconds by which a clock goes back unnoticed.
_SLACK = 5
#: Number, time, event and result in hex, actor, data, MAC.
_RECORD = re.compile(rb"([0-9A-Fa-f]{1,16})\|" * 4 + rb"([^|]*)\|([^|]*)\|([^|]*)")


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


_EVENTS: Mapping[int, Event] = {each.value: each for each in Event}
_RESULTS: Mapping[int, Result] = {each.value: each for each in Result}


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
    covers. ``jumps``: where the device's clock went back though nobody had set it, which is odd and no
    sign of a change."""

    firmware: str
    records: tuple[LogRecord, ...]
    problems: tuple[str, ...]
    jumps: tuple[str, ...] = ()


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
            ids, total = self.page(len(found))
            found += ids
            if not ids or len(found) >= total:
                return found

    def page(self, offset: int) -> tuple[tuple[str, ...], int]:
        """Up to 128 ids from the ``offset``-th on (0: the oldest), and how many files there are: one call."""
        return self._session.run(logger.list_files(offset))

    def read(self, file_id: str) -> bytes:
        """One finished file, as it is: whether it is genuine and whole ``verify`` tells.

        ``ValueError`` unless the id is 8 hex digits, ``HemAnswerFault`` for an answer that is no text or
        empty.
        """
        return self._session.run(logger.read(file_id))

    def verify(self, file_id: str, *, key: bytes | None = None) -> LogReport:
        """Read and verify a file, under ``key`` (32 bytes) or what the device says its key is."""
        return verify_log(self.read(file_id), self.key() if key is None else key)

    def __repr__(self) -> str:
        return f"<AuditLog of {self._session.rest.channel.config.name}>"


def verify_log(content: bytes, key: bytes) -> LogReport:
    """Check a file with the device's log key (32 bytes). Never raises for what is in the file."""
    check = FileCheck(key)
    records = [record for text, end in lines_of(content) if (record := check.take(text, end)) is not None]
    return LogReport(check.firmware, tuple(records), check.finish(), tuple(check.jumps))


def lines_of(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The lines of a file and what ends each: CRLF, LF, or nothing where the file ends within one."""
    pieces = content.split(b"\n")
    last = pieces.pop()
    for piece in pieces:
        yield (piece[:-1], b"\r\n") if piece[-1:] == b"\r" else (piece, b"\n")
    if last:
        yield last, b""


def record_of(text: bytes, line: int, *, genuine: bool) -> LogRecord | None:
    """The record that the ``line``-th line of a file is, of which it is known whether it is ``genuine``;
    ``None`` for a line that is no record."""
    fields = None if text[:1] == b"#" else _RECORD.fullmatch(text)
    return None if fields is None else _record(fields, line, genuine)


def _record(fields: re.Match[bytes], line: int, genuine: bool) -> LogRecord:
    number, time, kind, outcome = (int(each, 16) for each in fields.group(1, 2, 3, 4))
    actor, data = (each.decode("utf-8", "replace") for each in fields.group(5, 6))
    event, result = _EVENTS.get(kind, kind), _RESULTS.get(outcome, outcome)
    return LogRecord(line, number, time, event, result, actor, data, genuine)


class FileCheck:
    """A file's lines, one after another, held against the device's log key (32 bytes).

    Byte for byte: what reads the same and is written otherwise (hex digits of another case, a base64 text
    with other spare bits, another line end) is a change, too. The first line, which tells the firmware, is
    covered by no MAC.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._mac: _Mac | None = None
        self._end: bytes | None = None
        self._first_unknown = 0
        self._number: int | None = None
        self._time = 0
        self._free = True  # whether the clock may go back: nothing was read yet, or it was set
        #: Lines taken so far; what the first of them says of the firmware; what is wrong, in words, and which
        #: of it are gaps in the numbers; where the clock went back without having been set.
        self.line = 0
        self.firmware = ""
        self.problems: list[str] = []
        self.gaps: list[str] = []
        self.jumps: list[str] = []
        #: Whether there is a MAC key that ours has not signed.
        self.foreign = False

    def take(self, text: bytes, end: bytes = b"\r\n") -> LogRecord | None:
        """The next line without its ``end``; the record that it is, if it is one."""
        fields, genuine = self._judge(text, end)
        return None if fields is None else _record(fields, self.line, genuine)

    def vouches(self, text: bytes, end: bytes = b"\r\n") -> bool:
        """The same, for who needs no record: whether the line is a genuine one."""
        return self._judge(text, end)[1]

    def _judge(self, text: bytes, end: bytes) -> tuple[re.Match[bytes] | None, bool]:
        self.line = line = self.line + 1
        if end != self._end:
            if self._end is None:
                self._end = end
            else:
                self._say("ends otherwise than those before" if end else "the file ends within it")
        if text[:1] == b"#":
            if line == 1:
                self.firmware = text[1:].decode("utf-8", "replace").strip()
            else:
                self._say("a comment among the records")
            return None, False
        fields = _RECORD.fullmatch(text)
        if fields is None:
            self._say("not a record" if text else "empty")
            return None, False
        number, kind = int(fields[1], 16), int(fields[3], 16)
        if kind == Event.KEY_INIT.value and int(fields[4], 16) == Result.OK.value:
            self._mac = _signed_key(fields[5], fields[6], self._key)
            if self._mac is None:
                self.foreign = True
                self._say("its MAC key is not signed by the device's log key")
        elif self._mac is None and not self._first_unknown:
            self._first_unknown = line
        genuine = self._mac is not None and self._mac.fits(text[: fields.start(7)], fields[7])
        if self._mac is not None and not genuine:
            self._say("changed after it was written")
        if self._number is None:
            if number > 1:
                self._say(f"the file begins with number {number}")
        elif number != self._number + 1:
            self._say(f"number {number} follows {self._number}")
            self.gaps.append(self.problems[-1])
        self._number = number
        if genuine:
            self._timed(kind, int(fields[2], 16))
        return fields, genuine

    def _timed(self, kind: int, time: int) -> None:
        """A record of the time at which the clock is set has the time before that."""
        if time + _SLACK < self._time and not self._free and kind != Event.RTC_SET:
            self.jumps.append(f"line {self.line}: the clock went back by {self._time - time} s")
        self._time, self._free = time, kind == Event.RTC_SET

    def finish(self) -> tuple[str, ...]:
        """All that is wrong with the file, now that it has ended."""
        problems = list(self.problems)
        if self._number is None:
            problems.append("no records")
        elif self._mac is None:
            problems.append("no MAC key: nothing could be verified")
        elif self._first_unknown:
            first = self._first_unknown
            problems.insert(0, f"line {first}: stands before the MAC key, so that nothing vouches for it")
        return tuple(problems)

    def _say(self, what: str) -> None:
        self.problems.append(f"line {self.line}: {what}")


class _Mac:
    """HMAC-SHA256 with one key, begun once: a file has one key and many lines."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = key.ljust(64, b"\0")  # of 32 bytes, as its signature says
        self._inner = hashlib.sha256(bytes(each ^ 0x36 for each in block))
        self._outer = hashlib.sha256(bytes(each ^ 0x5C for each in block))

    def fits(self, covered: bytes, mac: bytes) -> bool:
        """Whether ``mac`` is the text of this line's MAC, as the device writes it and no other."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(covered)
        outer.update(inner.digest())
        expected = urlsafe_b64encode(outer.digest()[:_MAC]).rstrip(b"=")
        return hmac.compare_digest(mac, expected)


def _signed_key(text: bytes, signature: bytes, key: bytes) -> _Mac | None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        found = unb64(text.decode("ascii"))
        Ed25519PublicKey.from_public_bytes(key).verify(unb64(signature.decode("ascii")), found)
    except (InvalidSignature, ValueError):
        return None
    return _Mac(found) if len(found) == _KEY else None
