"""Syslog messages (RFC 5424) with structured data.

Written here: libraries for it are handlers of ``logging``, which give a record away without learning whether
it has come; the form itself is a header and one rule of escaping.

``TIMESTAMP`` is that of the device's clock, ``MSGID`` the name of the event, ``PRI`` facility 13 (log audit)
and the severity of the event. The one element of structured data is ``hem@32473`` unless another private
enterprise number is given: 32473 is nobody's (RFC 5612), and the project has none of its own.
"""

from __future__ import annotations

import re
from typing import Final

from hem_provider.auditlog.facts import FACILITY, Facts, moment
from hem_provider.printable import printable

__all__ = ["ENTERPRISE", "NUMBER", "message", "wrap"]

#: Private enterprise number of the structured data where none is given.
ENTERPRISE: Final = 32473
#: Finds the number of the copy in a line, from the end of the line before.
NUMBER = re.compile(rb'\n<\d{1,3}>1 [^\n]*?\[hem@\d+ entry="(\d+)"[^\n]*$')

#: Characters at most (RFC 5424 §6).
_HOSTNAME, _MSGID = 255, 32
_BOM = "\ufeff"
_NOT_PRINTABLE_ASCII = re.compile(r"[^\x21-\x7e]")
_ESCAPED = str.maketrans({'"': '\\"', "\\": "\\\\", "]": "\\]"})


def message(facts: Facts, enterprise: int = ENTERPRISE) -> bytes:
    """One message, without framing: never a line break in it."""
    return wrap(facts, facts.text, enterprise, whole=True)


def wrap(facts: Facts, text: str, enterprise: int = ENTERPRISE, *, whole: bool = False) -> bytes:
    """A message that says ``text``, in printable characters; its structured data is the entry's number
    and the device, or ``whole``."""
    priority = FACILITY * 8 + facts.severity
    head = (
        f"<{priority}>1 {moment(facts.time)} {_name(facts.host, _HOSTNAME)} hem - {_name(facts.name, _MSGID)}"
    )
    parameters = "".join(
        f' {name}="{printable(str(value)).translate(_ESCAPED)}"'
        for name, value in _parameters(facts, whole=whole)
        if value not in (None, "")
    )
    # What is ASCII alone has no BOM in RFC 5424's own examples either, but MSG-UTF8 is what says UTF-8.
    return f"{head} [hem@{enterprise}{parameters}] {_BOM}{text}".encode("utf-8", "backslashreplace")


def _name(text: str, most: int) -> str:
    """A value of the header: printable ASCII without spaces, or nil."""
    return _NOT_PRINTABLE_ASCII.sub("_", text)[:most] or "-"


def _parameters(facts: Facts, *, whole: bool) -> tuple[tuple[str, object], ...]:
    first: tuple[tuple[str, object], ...] = (("entry", facts.entry), ("device", facts.device))
    if not whole:
        return first
    return (
        *first,
        ("file", facts.file),
        ("line", facts.line or None),
        ("number", facts.number),
        ("event", facts.event),
        ("result", facts.result),
        ("actor", facts.actor),
        ("kid", facts.kid),
        ("data", facts.data),
        ("genuine", _yes_no(facts.genuine)),
        ("clock", facts.clock),
        ("collected", moment(facts.collected)),
        ("raw", facts.raw),
        ("cut", "yes" if facts.cut else None),
    )


def _yes_no(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"
