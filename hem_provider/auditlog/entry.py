"""One line of a copy: a line of the device's log as it was written, or an event of our own.

A line is a JSON object that ends with ``,"chain":"…"}``. Its chain is the SHA-256, in hex, of the chain of
the line before (64 characters) and of all of this line's bytes that stand before ``,"chain":``; so whoever
has noted the chain of one line has noted all lines up to it. The first line of each file is its head, which
says after which entry the file begins, and is part of the chain.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from hem_provider.device.auditlog import LogRecord, record_of
from hem_provider.records import field, frozen

__all__ = ["BEGINNING", "OWN_EVENTS", "Entry", "Head", "OwnEvent", "chained", "unchained"]

#: The chain before the first line of all.
BEGINNING = "0" * 64
#: The form of a copy's files, which their heads tell.
FORM = 1
_CHAIN, _CLOSE = b',"chain":"', b'"}\n'
_TAIL = len(_CHAIN) + len(BEGINNING) + len(_CLOSE)

#: Own events: name → what happened. Names never change their meaning.
OWN_EVENTS: Mapping[str, str] = {
    "bad-line": "a line that is no record, or that nothing vouches for",
    "clock-jump": "the device's clock went back without having been set, or is a day ahead",
    "device-away": "the device was not reached",
    "device-back": "the device was reached again",
    "device-replaced": "another device answers, whose log has nothing of the files that were collected",
    "device-wiped": "the device has another identity, and a new log key",
    "file-altered": "a file that was collected reads otherwise now",
    "file-collected": "a file was collected as a whole",
    "file-continues": "a file that is being written was collected so far",
    "gap": "records, or whole files, are missing",
    "log-key": "the log key that the device has proven, when it was first seen",
    "log-key-changed": "the device signs its log with another key",
    "sealed": "the copy up to here was signed with a key of a device",
}


@frozen
class OwnEvent:
    """What was noticed while collecting. ``name`` is one of ``OWN_EVENTS``, ``text`` says it to people, and
    ``data``, whose values are those of JSON, to programs."""

    name: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


@frozen
class Entry:
    """One line of a copy.

    ``number``: its place in the copy, from 1, without gaps. ``collected``: when, in Unix seconds of this
    machine's clock. ``device``: whose log it is (``eid``, base64). ``log_key``: the Ed25519 key, in hex, that
    was to vouch for it; empty where none is known yet. ``file``: the id of the device's file, empty where
    an own event is about none; ``line``: the place in it, from 1, or 0. ``raw``: the line as the device wrote
    it, bytes that are no UTF-8 as lone surrogates (``surrogateescape``); ``end``: what ended it.
    ``record``: what the line says, ``None`` where it is no record. ``own``: the event, where it is one of
    ours; ``raw`` is empty then.
    """

    number: int
    collected: int
    device: str
    log_key: str
    file: str
    line: int
    raw: str
    record: LogRecord | None
    own: OwnEvent | None = None
    end: str = "\r\n"

    @property
    def text(self) -> bytes:
        """The line as the device wrote it, without its end."""
        return self.raw.encode("utf-8", "surrogateescape")

    def body(self) -> bytes:
        """The line of the copy, but for the chain that ends it."""
        values: dict[str, Any] = {
            "number": self.number,
            "collected": self.collected,
            "device": self.device,
            "log_key": self.log_key,
            "file": self.file,
            "line": self.line,
        }
        if self.own is not None:
            values |= {"own": self.own.name, "text": self.own.text, "data": dict(self.own.data)}
        else:
            values["raw"] = self.raw
            if self.end != "\r\n":
                values["end"] = self.end
            values["genuine"] = self.record is not None and self.record.genuine
        return _json(values)

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Entry:
        """What ``body`` wrote. ``ValueError`` for anything else."""
        own = record = None
        raw, end = _of(values, "raw", str, ""), _of(values, "end", str, "\r\n")
        line = _of(values, "line", int)
        if "own" in values:
            name, text = _of(values, "own", str), _of(values, "text", str)
            own = OwnEvent(name, text, _of(values, "data", dict))
        else:
            text = raw.encode("utf-8", "surrogateescape")
            record = record_of(text, line, genuine=_of(values, "genuine", bool))
        return cls(
            _of(values, "number", int),
            _of(values, "collected", int),
            _of(values, "device", str),
            _of(values, "log_key", str),
            _of(values, "file", str),
            line,
            raw,
            record,
            own,
            end,
        )


@frozen
class Head:
    """The first line of a file of the copy: of which ``day`` it is (UTC, ``YYYY-MM-DD``), after which entry
    it begins, and the chain up to there."""

    day: str
    after: int
    before: str

    def body(self) -> bytes:
        """The line, but for the chain that ends it."""
        return _json({"copy": FORM, "day": self.day, "after": self.after, "before": self.before})

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Head:
        """What ``body`` wrote. ``ValueError`` for anything else."""
        if values.get("copy") != FORM:
            raise ValueError(f"'copy': {values.get('copy')!r}; accepted: {FORM}")
        return cls(_of(values, "day", str), _of(values, "after", int), _of(values, "before", str))


def chained(body: bytes, before: str) -> tuple[bytes, str]:
    """The whole line, and its chain, after a line whose chain is ``before``."""
    chain = hashlib.sha256(before.encode("ascii") + body).hexdigest()
    return b"".join((body, _CHAIN, chain.encode("ascii"), _CLOSE)), chain


def unchained(line: bytes, before: str | None) -> tuple[dict[str, Any], str]:
    """The values of a line, and its chain; ``before``: that of the line before, ``None`` where that is not
    known and the chain is only read.

    ``ValueError`` where a byte is not as it was written.
    """
    body = line[:-_TAIL]
    if before is None:
        chain = line[-_TAIL + len(_CHAIN) : -len(_CLOSE)].decode("ascii", "replace")
        whole = b"".join((body, _CHAIN, chain.encode("ascii", "replace"), _CLOSE))
    else:
        whole, chain = chained(body, before)
    if line != whole:
        raise ValueError("its chain is another")
    try:
        # The chain is not JSON's to judge; a body is an object without its closing bracket.
        values: dict[str, Any] = json.loads(body + b"}")
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    return values, chain


def _json(values: Mapping[str, Any]) -> bytes:
    """An object in one line of ASCII, without its closing bracket."""
    return json.dumps(values, separators=(",", ":")).encode("ascii")[:-1]


def _of(values: Mapping[str, Any], name: str, kind: type[Any], default: Any = None) -> Any:
    value = values.get(name, default)
    if type(value) is not kind:
        raise ValueError(f"{name!r} is not {kind.__name__}")
    return value
