"""JSON lines: an event a line, with everything that the copy has of it.

``docs/schemas/lines/log-event.json`` is its schema.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode

from hem_provider.auditlog.facts import Facts, moment
from hem_provider.printable import printable

__all__ = ["NUMBER", "line"]

#: Finds the number of the copy in a line, from the end of the line before.
NUMBER = re.compile(rb'\n\{"entry":(\d+),[^\n]*\}$')


def line(facts: Facts) -> bytes:
    """One document, in ASCII, without a line break."""
    raw, raw_base64 = _readable(facts.raw)
    document = {
        "entry": facts.entry,
        "time": moment(facts.time),
        "clock": facts.clock,
        "collected": moment(facts.collected),
        "device": facts.device,
        "host": facts.host,
        "log_key": facts.log_key or None,
        "name": facts.name,
        "event": facts.event,
        "severity": facts.severity.name.lower(),
        "result": facts.result or None,
        "text": facts.text,
        "actor": printable(facts.actor) or None,
        "phone": facts.phone,
        "kid": facts.kid,
        "data": printable(facts.data) or None,
        "file": facts.file or None,
        "line": facts.line or None,
        "number": facts.number,
        "genuine": facts.genuine,
        "raw": raw,
        "raw_base64": raw_base64,
        "own": facts.own,
        "cut": facts.cut,
    }
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def _readable(raw: str) -> tuple[str | None, str | None]:
    """A line as text or, where it has bytes that are no UTF-8, in base64: they stand as lone surrogates,
    which other programs do not read."""
    data = raw.encode("utf-8", "surrogateescape")
    try:
        return data.decode("utf-8") or None, None
    except UnicodeDecodeError:
        return None, b64encode(data).decode("ascii")
