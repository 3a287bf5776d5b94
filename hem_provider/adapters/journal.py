"""Entries of systemd's journal: for its socket (the native protocol) and as the export format, which
``systemd-journal-remote`` reads.

Written here: ``systemd-python`` and ``cysystemd`` need the C library of the system to build, and handlers of
``logging`` in Python drop what is larger than a datagram.
"""

from __future__ import annotations

import re
import uuid

from hem_provider.auditlog.facts import FACILITY, Facts
from hem_provider.printable import printable

__all__ = ["NUMBER", "exported", "native"]

#: Finds the number of the copy in an exported entry, which ends with it.
NUMBER = re.compile(rb"\nHEM_ENTRY=(\d+)\n?$")

#: Names what kind of message it is (``MESSAGE_ID``): one id an event, made from its name.
_MESSAGES = uuid.UUID("5c1f3c2e-8a0f-4f8e-9f63-0a4a1d2f7c11")

#: The boot that exported entries are of (``_BOOT_ID``), always the same: a device's log knows none, and
#: ``systemd-journal-remote`` of systemd 257 drops entries that name none.
_BOOT = uuid.uuid5(_MESSAGES, "_BOOT_ID").hex


def native(facts: Facts) -> bytes:
    """One datagram for journald's socket; where it is too large for one it goes in a sealed memory file."""
    return b"".join(_field(name, value) for name, value in _fields(facts))


def exported(facts: Facts) -> bytes:
    """The same with its time, up to the empty line that ends it. Control characters are escaped, so that
    lines are lines: the length before a value may look like the end of an entry."""
    told = "\n".join(f"{name}={printable(value)}" for name, value in _fields(facts))
    head = f"__REALTIME_TIMESTAMP={facts.time * 1_000_000}\n_BOOT_ID={_BOOT}"
    return f"{head}\n{told}".encode("utf-8", "backslashreplace")


def _fields(facts: Facts) -> list[tuple[str, str]]:
    """The number comes last, by which the end of a file is known."""
    told: tuple[tuple[str, object], ...] = (
        ("MESSAGE", facts.text),
        ("MESSAGE_ID", uuid.uuid5(_MESSAGES, facts.name).hex),
        ("PRIORITY", int(facts.severity)),
        ("SYSLOG_FACILITY", FACILITY),
        ("SYSLOG_IDENTIFIER", "hem"),
        ("HEM_NAME", facts.name),
        ("HEM_EVENT", facts.event),
        ("HEM_RESULT", facts.result),
        ("HEM_ACTOR", facts.actor),
        ("HEM_PHONE", facts.phone),
        ("HEM_KID", facts.kid),
        ("HEM_DATA", facts.data),
        ("HEM_TIME", facts.time),
        ("HEM_CLOCK", facts.clock),
        ("HEM_COLLECTED", facts.collected),
        ("HEM_FILE", facts.file),
        ("HEM_LINE", facts.line or None),
        ("HEM_NUMBER", facts.number),
        ("HEM_GENUINE", {True: "yes", False: "no", None: None}[facts.genuine]),
        ("HEM_LOG_KEY", facts.log_key),
        ("HEM_RAW", facts.raw),
        ("HEM_HOST", facts.host),
        ("HEM_DEVICE", facts.device),
        ("HEM_ENTRY", facts.entry),
    )
    return [(name, str(value)) for name, value in told if value not in (None, "")]


def _field(name: str, value: str) -> bytes:
    """Text, or with its length where it has control characters."""
    data = value.encode("utf-8", "surrogateescape")
    if value.isprintable():
        return b"%s=%s\n" % (name.encode(), data)
    return b"%s\n%s%s\n" % (name.encode(), len(data).to_bytes(8, "little"), data)
