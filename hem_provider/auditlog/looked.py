"""When a device's log was last collected with success: where nothing is new no line is added to the copy,
and a collector that is dead adds none either.
"""

from __future__ import annotations

from hem_provider.auditlog.copy import LogCopy
from hem_provider.files import read_own, replace_file

__all__ = ["last_look", "note_look"]

_NAME = "looked"
#: Bytes of such a file at most.
_MOST = 32
#: Seconds for which a look is noted once only.
_OFTEN = 60


def note_look(copy: LogCopy, when: float) -> None:
    """Note that everything which the device had at ``when`` (Unix seconds) is in the copy. ``OSError``."""
    before = _noted(copy)
    if before is not None and 0 <= when - before < _OFTEN:
        return
    replace_file(copy.folder / _NAME, f"{int(when)}\n".encode("ascii"))


def last_look(copy: LogCopy) -> int | None:
    """Unix seconds, by this machine's clock; where it was not noted, when the last line was added, and
    ``None`` where there is none. ``OSError``, ``HemLogDamaged``."""
    noted = _noted(copy)
    if noted is not None:
        return noted
    last = copy.last()
    return None if last is None else last.collected


def _noted(copy: LogCopy) -> int | None:
    try:
        text = read_own(copy.folder / _NAME, _MOST).strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
