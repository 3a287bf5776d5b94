"""Copies of a device's log, made without a device: every event there is, odd lines, events of our own."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from hem_provider.auditlog.copy import LogCopy
from hem_provider.auditlog.entry import OWN_EVENTS, Entry, OwnEvent
from hem_provider.device.auditlog import Event, Result, record_of

__all__ = ["DEVICE", "KID", "LOG_KEY", "ODD", "append", "entries", "filled", "line_entry", "own_entry"]

DEVICE = base64.b64encode(bytes(range(32))).decode()
LOG_KEY = "5a" * 32
KID = "0123456789abcdef0123456789abcdef"
BEGAN = 0x62310BA5
#: Lines that no device should write, and some do: all have to come through every format.
ODD = (
    b"# Encedo nGINE FW v1.2.2",
    b"",
    b"not a record",
    b"\xff\xfe|bytes that are no UTF-8|\x00\x01",
    b'tab\tescape\x1b[31m quote" bracket] backslash\\ pipe| equals= newline-ish \xe2\x80\xa8 end',
    b"5|62310ba5|2a|0|" + "Zoë 𝄞".encode() + b"|]=|x",
    b"7|ffffffffffff|c|1|U|far in the future|x",
    b"8|62310ba5|ffff|9|X|an event of tomorrow|x",
    b"9|62310ba5|18|2||" + KID.encode() + b"|x",
    b"a" * 3000,
)


def line_entry(raw: bytes, line: int = 1, *, genuine: bool = True, file: str = "62310ba5") -> Entry:
    """What a device wrote."""
    text = raw.decode("utf-8", "surrogateescape")
    record = record_of(raw, line, genuine=genuine)
    return Entry(0, BEGAN + 1000, DEVICE, LOG_KEY, file, line, text, record)


def own_entry(name: str, text: str = "said by the collector", **data: object) -> Entry:
    """What the collector noticed."""
    return Entry(0, BEGAN + 2000, DEVICE, LOG_KEY, "", 0, "", None, OwnEvent(name, text, data))


def _lines() -> Iterator[bytes]:
    number = 0
    for event in Event:
        for result in Result:
            for actor in ("", "U", "M", base64.b64encode(bytes.fromhex(KID)).decode()):
                data = KID if event >= Event.KEY_GENERATION else ""
                body = f"{number:x}|{BEGAN + number:x}|{event:x}|{result:x}|{actor}|{data}|"
                mac = base64.urlsafe_b64encode(hashlib.sha256(body.encode()).digest()[:16])
                yield f"{body}{mac.decode().rstrip('=')}".encode()
                number += 1


def entries() -> list[Entry]:
    """One of everything, some 450 entries."""
    found = [line_entry(raw, line) for line, raw in enumerate(_lines(), 1)]
    found += [line_entry(raw, line, genuine=False) for line, raw in enumerate(ODD, 1)]
    found += [own_entry(name, f'{name} = "it" | ] \\', reason=name) for name in OWN_EVENTS]
    return found


def append(folder: Path, what: Iterable[Entry]) -> list[Entry]:
    """Add to a copy, as a collector does; the entries with their numbers."""
    with LogCopy(folder).writing() as writer:
        return writer.append(what)


def filled(folder: Path, count: int = 0) -> LogCopy:
    """A copy with one of everything or, with ``count``, so many plain entries."""
    kinds = (line_entry(f"{n:x}|{BEGAN + n:x}|{Event.CRYPTO_EXDSA_SIGN:x}|0|U|{KID}|mac{n}".encode(), n + 1)
             for n in range(count))  # fmt: skip
    append(folder, kinds if count else entries())
    return LogCopy(folder)
