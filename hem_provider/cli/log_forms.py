"""The formats of ``hem log export``, and which way each can go, as one table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from hem_provider.adapters import cef, journal, jsonlines, ocsf, syslog
from hem_provider.auditlog.delivery.forms import Form
from hem_provider.auditlog.delivery.places import Place
from hem_provider.auditlog.entry import Entry
from hem_provider.auditlog.facts import SHORT, Facts, facts_of
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import UsageFault
from hem_provider.records import frozen

__all__ = ["FORMATS", "form_of", "usual_format"]

#: Kinds of places by what frames a message there: none, its length (RFC 6587), a line break.
_FILES, _STREAMS = frozenset({"file", "output"}), frozenset({"tcp", "tls"})
_DATAGRAMS = frozenset({"udp", "journal"})


@frozen
class _Format:
    """``encode``: the facts as they stand in a file, without what ends them, and ``sent`` as they go over a
    network, where that is otherwise; both take the enterprise number. ``short``: values are shortened
    wherever it goes, since receivers of this form take messages of some kilobytes. ``counted``: streams have
    the length before each message. ``kinds``: of the places that it goes to."""

    encode: Callable[[Facts, int], bytes]
    beginning: bytes
    number: re.Pattern[bytes]
    kinds: frozenset[str]
    ending: bytes = b"\n"
    sent: Callable[[Facts, int], bytes] | None = None
    short: bool = False
    counted: bool = False


_EVERYWHERE = _FILES | _STREAMS | {"udp"}
FORMATS: Mapping[str, _Format] = {
    "jsonl": _Format(lambda facts, _: jsonlines.line(facts), b'{"entry":', jsonlines.NUMBER, _EVERYWHERE),
    "syslog": _Format(syslog.message, b"<", syslog.NUMBER, _EVERYWHERE, short=True, counted=True),
    "cef": _Format(
        lambda facts, _: cef.line(facts).encode("utf-8", "backslashreplace"),
        b"CEF:0|",
        cef.NUMBER,
        _EVERYWHERE,
        sent=lambda facts, enterprise: syslog.wrap(facts, cef.line(facts), enterprise),
        short=True,
        counted=True,
    ),
    "ocsf": _Format(lambda facts, _: ocsf.line(facts), b'{"metadata":{"sequence":', ocsf.NUMBER, _EVERYWHERE),
    "journal": _Format(
        lambda facts, _: journal.exported(facts),
        b"__REALTIME_TIMESTAMP=",
        journal.NUMBER,
        _FILES | {"journal"},
        ending=b"\n\n",
        sent=lambda facts, _: journal.native(facts),
    ),
}


def usual_format(place: Place) -> str:
    """What a place gets where nothing is said."""
    return {"journal": "journal", "file": "jsonl", "output": "jsonl"}.get(place.kind, "syslog")


def form_of(name: str, place: Place, host: str, options: Given) -> Form:
    """The form for a place. ``UsageFault`` for one that does not go there."""
    found = FORMATS[name]
    if place.kind not in found.kinds:
        able = ", ".join(each for each, form in FORMATS.items() if place.kind in form.kinds)
        raise UsageFault(f"--format {name} does not go to {place.text}; there go: {able}")
    most = SHORT if found.short or place.kind == "udp" else None
    local = place.kind in _FILES
    encode = found.encode if local or found.sent is None else found.sent

    def framed(entry: Entry) -> bytes:
        data = encode(facts_of(entry, host, most), options.enterprise)
        if place.kind in _DATAGRAMS:
            return data
        return b"%d %s" % (len(data), data) if found.counted and not local else data + found.ending

    return Form(framed, found.beginning, found.ending, found.number)
