"""An entry as people and programs read it: when, who, what, which key, how it went."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hem_provider.auditlog.entry import Entry
from hem_provider.device.auditlog import Event
from hem_provider.device.logwords import Told, actor_kid, key_kid, tell
from hem_provider.printable import printable
from hem_provider.records import frozen

__all__ = ["HIDDEN", "Telling", "name_of", "told"]

#: Own events that tell how collecting goes on, and nothing that a person waits for.
HIDDEN = frozenset({"file-collected", "file-continues", "log-key", "sealed"})
_NOBODY = "hem"


@frozen
class Telling:
    """An entry in words. ``name``: that of the event, which never changes its meaning; ``kid`` and ``phone``:
    the key that it is about, and the one of the phone that acted, where it names them; ``genuine``: whether
    the log key vouches for it, ``None`` for events of our own."""

    entry: Entry
    told: Told
    name: str
    kid: str | None
    phone: str | None
    genuine: bool | None

    def document(self) -> dict[str, Any]:
        """The same for programs: values of JSON."""
        entry, record = self.entry, self.entry.record
        return {
            "entry": entry.number,
            "collected": _moment(entry.collected).replace(" ", "T") + "Z",
            "time": self.told.time.replace(" ", "T") + "Z" if record is not None or entry.own else None,
            "device": entry.device,
            "file": entry.file or None,
            "line": entry.line or None,
            "number": None if record is None else record.number,
            "event": None if record is None else int(record.event),
            "name": self.name,
            "who": self.told.who,
            "what": self.told.what,
            "kid": self.kid,
            "key": self.told.key or None,
            "result": self.told.result,
            "genuine": self.genuine,
        }


def told(entry: Entry, names: Mapping[str, str]) -> Telling:
    """An entry in words; ``names``: KID → label, of keys and phones. What is no record, a comment among them,
    is told as it stands."""
    record, own = entry.record, entry.own
    if record is not None:
        kid, phone = key_kid(record), actor_kid(record)
        return Telling(entry, tell(record, names), name_of(record.event), kid, phone, record.genuine)
    text = (
        own.text
        if own is not None
        else entry.raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    )
    where = f" ({entry.file})" if own is not None and entry.file and entry.file not in own.text else ""
    words = Told(
        time=_moment(entry.collected),
        who=_NOBODY if own is not None else "",
        what=f"{printable(text[:500], '?')}{where}",
        key="",
        result="noticed" if own is not None else "no record",
    )
    name = own.name if own is not None else "line"
    return Telling(entry, words, name, None, None, None if own is not None else False)


def name_of(event: int) -> str:
    """The name of a device's event: as in its documents, ``EVENT_n`` for a number without one."""
    return event.name if isinstance(event, Event) else f"EVENT_{int(event)}"


def _moment(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return "?"
