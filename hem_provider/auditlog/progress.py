"""What has been collected so far, so that nothing is fetched twice.

All of it follows from the copy; so that the whole copy need not be read each time, and files of past days may
be moved away, it is noted in ``state.json`` beside them from time to time, with the number and chain of the
entry up to which that holds. Entries behind it are read again; a copy that ends before it was cut.

What it says of files is not believed beyond the copy: own events say which were collected (``Borne``), and
these are looked through each time.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from hem_provider.auditlog.copy import LogCopy, Tip
from hem_provider.auditlog.days import is_day
from hem_provider.auditlog.entry import BEGINNING, Entry
from hem_provider.errors import HemLogDamaged
from hem_provider.files import read_own, replace_file
from hem_provider.records import field, mutable

__all__ = ["Begun", "Borne", "Known", "Seen", "is_kept", "known_of", "note", "noted"]

_NAME, _FORM = "state.json", 1
#: Larger ones are none, in bytes: 100 000 files make 10 MB.
_MOST = 64 * 1024 * 1024
_CHAIN = re.compile("[0-9a-f]{64}")

#: A file as far as it was collected: how many lines and bytes that is, and their SHA-256 in hex.
Seen = tuple[int, int, str]
_NOTHING: Seen = 0, 0, hashlib.sha256().hexdigest()
T = TypeVar("T")


class Begun:
    """A file whose end was not collected: as much of it as an own event tells of (``seen``), and the
    ``lines`` behind, where a collection was stopped among them; ``told``: what own events tell behind the
    last of these."""

    __slots__ = ("lines", "seen", "told")

    def __init__(self, seen: Seen = _NOTHING) -> None:
        self.seen = seen
        self.lines: list[bytes] = []
        self.told: set[str] = set()

    @property
    def count(self) -> int:
        """How many lines of it were collected."""
        return self.seen[0] + len(self.lines)

    def begins(self, content: bytes) -> bool:
        """Whether what was collected is what ``content`` begins with."""
        _, size, sha256 = self.seen
        rest = b"".join(self.lines)
        return hashlib.sha256(content[:size]).hexdigest() == sha256 and content[size:].startswith(rest)


@mutable
class Known:
    """What a copy tells.

    ``device``: whose log it is (``eid``); ``serial``: of its hardware, empty where it does not say;
    ``log_key``: in hex; ``files``: those that were collected as a whole; ``missing``: those of them
    that the device no longer lists; ``begun``: the one whose end is not there; ``away``: since when the
    device is not reached (Unix seconds), 0 where it is. ``firmware``: as the newest file tells it;
    ``shut``: the one of which it is known that it does not show the file being written. ``tip``: up to
    which entry of the copy this holds.
    """

    device: str = ""
    serial: str = ""
    log_key: str = ""
    files: dict[str, Seen] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    begun: dict[str, Begun] = field(default_factory=dict)
    away: int = 0
    firmware: str = ""
    shut: str | None = None
    tip: Tip = field(default_factory=lambda: Tip(0, BEGINNING))

    def observe(self, entry: Entry) -> None:
        """Learn from the next entry of the copy."""
        self.device, self.log_key = entry.device or self.device, entry.log_key or self.log_key
        if entry.own is not None:
            self._happened(entry.own.name, entry)
            return
        if entry.line == 1:
            self.begun = {entry.file: Begun()}
            if entry.raw.startswith("#"):
                self.firmware = entry.raw[1:].strip()
        if entry.file in self.begun:
            self.begun[entry.file].lines.append(entry.text + entry.end.encode("ascii"))
            self.begun[entry.file].told.clear()

    def _happened(self, name: str, entry: Entry) -> None:
        data = entry.own.data if entry.own is not None else {}
        if entry.own is not None and entry.file in self.begun:
            self.begun[entry.file].told.add(entry.own.text)
        if name in ("file-collected", "file-continues"):
            seen = data["lines"], data["bytes"], data["sha256"]
            self.begun = {}
            if name == "file-collected":
                self.files[entry.file] = seen
            else:
                self.begun[entry.file] = Begun(seen)
        elif name == "file-altered":  # it is collected again
            self.files.pop(entry.file, None)
            self.begun.pop(entry.file, None)
        elif name == "gap" and "listed" in data:
            self.missing.add(entry.file)
            self.begun.pop(entry.file, None)
        elif name == "gap" and "unreadable" in data:
            self.pass_over(entry.file)
        elif name in ("device-wiped", "device-replaced"):
            self.files, self.missing, self.begun, self.serial = {}, set(), {}, data["serial"]
            self.log_key = ""
        elif name in ("log-key", "log-key-changed"):
            self.serial = data.get("serial", self.serial)
        elif name in ("device-away", "device-back"):
            self.away = entry.collected if name == "device-away" else 0

    def pass_over(self, file: str) -> None:
        """Count a file as collected that is not to be, or cannot be."""
        self.files[file] = _NOTHING

    def listed(self) -> list[str]:
        """The files that were collected and that the device listed last time, oldest first."""
        return sorted(each for each in self.files if each not in self.missing)


class Borne:
    """What own events alone tell of the files of a device, in order, to hold against what was noted; days
    that are missing may have told of others."""

    def __init__(self) -> None:
        self._known = Known()
        self._whole = True  # no days are missing
        self._first = ""  # the first file that was collected behind the last days that are missing

    def skip(self) -> None:
        """Days are missing here."""
        self._whole, self._first = False, ""

    def take(self, entry: Entry) -> None:
        """The next own event. ``KeyError``, ``TypeError`` for one that lacks something."""
        self._known.observe(entry)
        if entry.own is not None and entry.own.name == "file-collected":
            self._first = self._first or entry.file

    def files(self, noted: Known) -> dict[str, Seen]:
        """The files that were collected. Those that merely were noted are among them where days are missing
        that may have told of them: files follow one another."""
        told = self._known.files
        if self._whole:
            return dict(told)
        before = {
            name: seen
            for name, seen in noted.files.items()
            if name not in told and (not self._first or name < self._first)
        }
        return before | told

    def correct(self, noted: Known) -> None:
        """Leave of what was noted what these events bear out, and add what they tell."""
        noted.files = self.files(noted)
        if self._whole:
            noted.missing = set(self._known.missing) & noted.missing
            noted.begun = self._known.begun


def _borne_by(copy: LogCopy, known: Known) -> Known:
    """What was noted, as far as the copy bears it out: nothing where the entry is missing up to which it
    is to hold."""
    borne, event = Borne(), None
    for event in copy.own_events(known.tip.number):
        if event is None:
            borne.skip()
            continue
        with suppress(KeyError, TypeError, ValueError):  # damage, which is verified elsewhere
            borne.take(event)
    if event is None and known.tip.number:
        return Known()
    borne.correct(known)
    return known


def known_of(copy: LogCopy) -> Known:
    """What is known of a copy: as it was noted, and by the entries behind that.

    ``HemLogDamaged`` where the copy has an end before what was noted, or an entry that cannot be true;
    ``OSError``.
    """
    known = noted(copy.folder)
    if known is not None and copy.tip().number < known.tip.number:
        raise HemLogDamaged(
            f"{copy.folder}: the copy ends with entry {copy.tip().number}, and had {known.tip.number}: its "
            "end was cut off; collect into another folder"
        )
    known = Known() if known is None else _borne_by(copy, known)
    try:
        for entry in copy.entries(known.tip.number):
            known.observe(entry)
    except (KeyError, TypeError, ValueError) as error:
        raise HemLogDamaged(f"{copy.folder}: entry {entry.number}: an own event lacks {error}") from None
    known.tip = copy.tip()
    return known


def note(copy: LogCopy, known: Known) -> None:
    """Note what is known. ``OSError``."""
    values = {
        "form": _FORM,
        "number": known.tip.number,
        "chain": known.tip.chain,
        "device": known.device,
        "serial": known.serial,
        "log_key": known.log_key,
        "files": known.files,
        "missing": sorted(known.missing),
        "begun": {name: each.seen for name, each in known.begun.items() if not each.lines},
        "away": known.away,
        "firmware": known.firmware,
        "shut": known.shut,
    }
    if any(each.lines for each in known.begun.values()):
        return  # somewhere within a file: the entries tell it
    replace_file(copy.folder / _NAME, json.dumps(values).encode("ascii"))


def is_kept(folder: Path) -> bool:
    """Whether there is anything of a copy in ``folder``: the file of a day, or what was noted, in whatever
    state these are. ``OSError``."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names alone are wanted
    except FileNotFoundError:
        return False
    return any(name == _NAME or is_day(name) for name in names)


def noted(folder: Path) -> Known | None:
    """What was noted; ``None`` where nothing was, or it cannot be read."""
    try:
        values = json.loads(read_own(folder / _NAME, _MOST))
        if values["form"] != _FORM or not _CHAIN.fullmatch(values["chain"]):
            return None
        return Known(
            device=_is(str, values["device"]),
            serial=_is(str, values["serial"]),
            log_key=_is(str, values["log_key"]),
            files={name: _seen(each) for name, each in values["files"].items()},
            missing=set(_is(list, values["missing"])),
            begun={name: Begun(_seen(each)) for name, each in values["begun"].items()},
            away=_is(int, values["away"]),
            firmware=_is(str, values["firmware"]),
            shut=None if values["shut"] is None else _is(str, values["shut"]),
            tip=Tip(_is(int, values["number"]), values["chain"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # all of it follows from the copy


def _seen(values: Any) -> Seen:
    lines, size, sha256 = values
    return _is(int, lines), _is(int, size), _is(str, sha256)


def _is(kind: type[T], value: Any) -> T:
    if type(value) is not kind:
        raise TypeError(kind.__name__)
    return value
