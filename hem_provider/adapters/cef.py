"""ArcSight's Common Event Format, version 0 (CEF Implementation Standard, 25).

Written here: of the two libraries one has had no release since 2019 and the other checks names of keys
alone, and the form is two rules of escaping.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from hem_provider.auditlog.facts import Facts, Severity
from hem_provider.printable import printable

__all__ = ["NUMBER", "VERSION", "line"]

#: Of what the fields mean here; a change of meaning raises it.
VERSION = "1"
#: Finds the number of the copy in a line, from the end of the line before.
NUMBER = re.compile(rb"\nCEF:0(?:\|(?:[^|\\\n]|\\.)*){6}\|externalId=(\d+)[^\n]*$")

#: Severity → 0 to 10: "Low" to 3, "Medium" to 6, "High" to 8, above that "Very-High".
_SEVERITIES: Mapping[Severity, int] = {
    Severity.INFORMATIONAL: 2,
    Severity.NOTICE: 3,
    Severity.WARNING: 5,
    Severity.ERROR: 7,
    Severity.CRITICAL: 9,
    Severity.ALERT: 10,
}
_IN_HEAD = str.maketrans({"\\": "\\\\", "|": "\\|"})
_IN_EXTENSION = str.maketrans({"\\": "\\\\", "=": "\\=", "\n": "\\n", "\r": "\\r"})


def line(facts: Facts) -> str:
    """One event, printable, without syslog's header."""
    head = ("Encedo", "HEM", VERSION, facts.name, facts.text, str(_SEVERITIES[facts.severity]))
    told = "|".join(printable(each).translate(_IN_HEAD) for each in head)
    extension = " ".join(
        f"{key}={printable(str(value)).translate(_IN_EXTENSION)}"
        for key, value in _extension(facts)
        if value not in (None, "")
    )
    return f"CEF:0|{told}|{extension}"


def _extension(facts: Facts) -> tuple[tuple[str, object], ...]:
    """Keys of CEF's dictionary, the number first; those of our own have labels beside them."""
    named: tuple[tuple[str, str, object], ...] = (
        ("cs1", "kid", facts.kid),
        ("cs2", "logFile", facts.file),
        ("cs3", "deviceLine", facts.raw),
        ("cs4", "data", facts.data),
        ("cs5", "genuine", {True: "yes", False: "no", None: None}[facts.genuine]),
        ("cs6", "clock", facts.clock),
        ("cn1", "logLine", facts.line or None),
        ("cn2", "number", facts.number),
        ("cn3", "event", facts.event),
    )
    labels = tuple(
        pair
        for key, label, value in named
        if value not in (None, "")
        for pair in ((key, value), (f"{key}Label", label))
    )
    return (
        ("externalId", facts.entry),
        ("rt", facts.time * 1000),
        ("dvchost", facts.host),
        ("deviceExternalId", facts.device),
        ("deviceFacility", "audit"),
        ("outcome", facts.result),
        ("suser", facts.actor),
        ("suid", facts.phone),
        ("msg", facts.text),
        *labels,
    )
