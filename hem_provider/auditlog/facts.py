"""What an entry of the copy says, in the words that all formats of export share: the name of an event, how
severe it is, and what became of it.

A name, once given, is never given to anything else: rules of receivers stand on it.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime

from hem_provider.auditlog.entry import Entry
from hem_provider.auditlog.telling import name_of
from hem_provider.device.auditlog import Event, LogRecord, Result
from hem_provider.device.logwords import actor_kid, key_kid, tell
from hem_provider.printable import printable
from hem_provider.records import frozen

__all__ = ["ALERTS", "COMMENT", "FACILITY", "LINE", "SHORT", "Facts", "Severity", "facts_of", "moment"]

#: Syslog's for an audit log (RFC 5424 §6.2.1), for the journal, too.
FACILITY = 13
#: Characters that receivers of short messages get of a value at most; lines of a device have about 100.
SHORT = 1024
_LAST_MOMENT = 1 << 32  # a device's clock has 32 bits


class Severity(enum.IntEnum):
    """As syslog has it (RFC 5424 §6.2.1)."""

    ALERT = 1
    CRITICAL = 2
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFORMATIONAL = 6


#: Names of what is no record: the line that begins a file of the device, and any other.
COMMENT, LINE = "comment", "line"

#: Name of an event → how severe it is when all went well. Those that are not here are informational where
#: the device wrote them, and a warning where the collector did.
_SEVERITIES: Mapping[str, Severity] = {
    "NON_SECURE_STATE": Severity.CRITICAL,
    "TRNG_FAILED": Severity.CRITICAL,
    "DEVICE_INITED": Severity.WARNING,
    "FAILED_SCOPE_CHECK": Severity.WARNING,
    "LOGGER_DELETE_LOG": Severity.WARNING,
    "TLS_ERROR": Severity.WARNING,
    "AUTH_PAIRED_EXTERNAL": Severity.NOTICE,
    "CONFIG_UPDATED": Severity.NOTICE,
    "KEY_ATTRIBUTES_CHANGED": Severity.NOTICE,
    "KEY_DELETE": Severity.NOTICE,
    "KEY_DERIVE": Severity.NOTICE,
    "KEY_GENERATION": Severity.NOTICE,
    "KEY_IMPORT": Severity.NOTICE,
    "REBOOT": Severity.NOTICE,
    "RTC_SET": Severity.NOTICE,
    "SHUTDOWN": Severity.NOTICE,
    "STARTUP": Severity.NOTICE,
    "UPGRADE": Severity.NOTICE,
    "device-replaced": Severity.ALERT,
    "device-wiped": Severity.ALERT,
    "file-altered": Severity.ALERT,
    "log-key-changed": Severity.ALERT,
    "bad-line": Severity.ERROR,
    "gap": Severity.ERROR,
    "clock-jump": Severity.WARNING,
    "device-away": Severity.WARNING,
    LINE: Severity.WARNING,
    "device-back": Severity.NOTICE,
    "file-collected": Severity.INFORMATIONAL,
    "file-continues": Severity.INFORMATIONAL,
    "log-key": Severity.NOTICE,
    "sealed": Severity.INFORMATIONAL,
}
#: Events that somebody has to be told of at once: the log is of another device, another identity or key, or
#: was rewritten.
ALERTS = frozenset(name for name, severity in _SEVERITIES.items() if severity is Severity.ALERT)
#: The least severity of what did not go well, whatever it is.
_LEAST: Mapping[int, Severity] = {Result.FAILED: Severity.WARNING, Result.ERROR: Severity.ERROR}
_RESULTS: Mapping[int, str] = {Result.OK: "ok", Result.FAILED: "failed", Result.ERROR: "error"}


@frozen
class Facts:
    """An entry as formats tell it; texts may have any character, ``text`` has printable ones.

    ``entry``: its place in the copy, by which a receiver knows what it has already. ``time``: Unix seconds
    by the clock that ``clock`` names: ``device`` or, where its line tells none, ``collector``. ``name``:
    that of the event; ``event``: the device's number of it. ``result``: ``ok``, ``failed``, ``error``,
    ``result N``, ``""`` of what the collector says. ``number``: the device's of the line. ``ours``: the
    collector says it, and ``own`` is what it says for programs. ``host``: what the device is called.
    ``cut``: values have been shortened; the copy has them whole.
    """

    entry: int
    collected: int
    device: str
    host: str
    log_key: str
    time: int
    clock: str
    name: str
    event: int | None
    severity: Severity
    result: str
    actor: str
    kid: str | None
    phone: str | None
    data: str
    text: str
    file: str
    line: int
    number: int | None
    genuine: bool | None
    raw: str
    ours: bool
    own: Mapping[str, object] | None
    cut: bool


def facts_of(entry: Entry, host: str, most: int | None = None) -> Facts:
    """What an entry says. ``host``: what the device is called. ``most``: characters that a value has at most;
    a longer line of the device is followed by its SHA-256."""
    record, own = entry.record, entry.own
    raw, data = entry.raw, record.data if record is not None else ""
    cut = most is not None and max(len(raw), len(data), len(own.text) if own else 0) > most
    if most is not None and len(raw) > most:
        digest = hashlib.sha256(entry.text).hexdigest()
        raw = f"{raw[:most]}… sha256:{digest}"
    if cut and record is not None:
        data = data[:most]
    name = _name_of(entry)
    clock = "device" if record is not None and 0 <= record.time < _LAST_MOMENT else "collector"
    return Facts(
        entry=entry.number,
        collected=entry.collected,
        device=entry.device,
        host=host,
        log_key=entry.log_key,
        time=record.time if record is not None and clock == "device" else entry.collected,
        clock=clock,
        name=name,
        event=int(record.event) if record is not None else None,
        severity=_severity_of(name, record, ours=own is not None),
        result=_result_of(record),
        actor=record.actor if record is not None and record.event != Event.KEY_INIT else "",
        kid=key_kid(record) if record is not None else None,
        phone=actor_kid(record) if record is not None else None,
        data=data,
        text=_text_of(entry)[:most],
        file=entry.file,
        line=entry.line,
        number=record.number if record is not None else None,
        genuine=record.genuine if record is not None else None,
        raw=raw,
        ours=own is not None,
        own=own.data if own is not None and not cut else None,
        cut=cut,
    )


def moment(seconds: int) -> str:
    """A time of ``Facts`` as RFC 3339 has it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _name_of(entry: Entry) -> str:
    if entry.own is not None:
        return entry.own.name
    if entry.record is None:
        return COMMENT if entry.raw.startswith("#") else LINE
    return name_of(entry.record.event) if 0 <= entry.record.event < 1 << 32 else "EVENT_OUT_OF_RANGE"


def _severity_of(name: str, record: LogRecord | None, *, ours: bool) -> Severity:
    usual = _SEVERITIES.get(name, Severity.WARNING if ours else Severity.INFORMATIONAL)
    if record is None:
        return usual
    if name == "KEY_INTEGRITY_ERROR" and record.result != Result.OK:  # a check, whatever its name says
        return Severity.CRITICAL
    least = _LEAST.get(record.result, usual) if record.genuine else Severity.ERROR
    return min(usual, least)


def _result_of(record: LogRecord | None) -> str:
    if record is None:
        return ""
    known = _RESULTS.get(record.result)
    return known or (f"result {record.result}" if 0 <= record.result < 1 << 32 else "result out of range")


def _text_of(entry: Entry) -> str:
    """One printable line for a person."""
    if entry.own is not None:
        return printable(entry.own.text)
    if entry.record is None:
        return printable(entry.raw[1:].strip()) if entry.raw.startswith("#") else "a line that is no record"
    told = tell(entry.record, {})
    key = f" {told.key}" if told.key else ""
    return f"{told.who}: {told.what}{key}: {told.result}"
