"""Whether a copy is as it was written: each line's chain, the numbers, and the device's own lines under the
MAC keys that its log key has signed.

A file that was moved away is missing, not damaged: what is there is verified without it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from hem_provider.auditlog.copy import LogCopy, Tip
from hem_provider.auditlog.days import MOST_LINE, Day, days_in, opened
from hem_provider.auditlog.entry import BEGINNING, Entry, unchained
from hem_provider.auditlog.progress import Borne, Known, noted
from hem_provider.auditlog.sealing import doubt
from hem_provider.device.auditlog import FileCheck
from hem_provider.errors import HemLogDamaged
from hem_provider.printable import printable
from hem_provider.records import frozen

__all__ = ["ORDINARY", "CopyReport", "verify_copy"]

_KEY = re.compile("[0-9a-f]{64}")

#: More problems are counted, not told.
_MOST = 1000
#: Own events that are no evidence of anything being wrong.
ORDINARY = frozenset({"device-away", "device-back", "file-collected", "file-continues", "log-key", "sealed"})


@frozen
class CopyReport:
    """What was found in a copy.

    ``days``: the names of its files; ``entries``: how many it has; ``files``: how many of the device's files
    are in it as a whole; ``tip``: its last entry's number and chain, which is worth noting elsewhere.
    ``problems``: what is not as it was written, the first bad line first; ``more``: how many are not told.
    ``missing``: what was moved away, or is not verified without that; ``noticed``: how often own events tell
    of something odd; ``notes``: what is no problem, as the next collection mends it. ``log_keys``: the keys,
    in hex, that vouch for the device's lines, in order. ``seals``: KID of a key → up to which entry it has
    signed the copy.
    """

    days: tuple[str, ...]
    entries: int
    files: int
    tip: Tip
    problems: tuple[str, ...]
    more: int
    missing: tuple[str, ...]
    noticed: dict[str, int]
    notes: tuple[str, ...]
    log_keys: tuple[str, ...]
    seals: dict[str, int]

    @property
    def intact(self) -> bool:
        """Whether all that is there is as it was written."""
        return not self.problems


def verify_copy(copy: LogCopy, *, head: str | None = None, key: str | None = None) -> CopyReport:
    """Verify all of a copy. ``head``: a chain (64 hex digits) that was noted before, which must be in it;
    ``key``: the log key (64 hex digits) that alone is to vouch for the device's lines, and for all of them:
    a file whose beginning, where its MAC key stands, was moved away is a problem then.

    Raises nothing for what is in the files; ``OSError``.
    """
    walk = _Walk(noted(copy.folder), head, key)  # before the entries, which go on meanwhile
    for day in days_in(copy.folder, unreadable=lambda error: walk.say(str(error))):
        walk.take(day)
    return walk.report()


class _File:
    """One of the device's files, as far as it was seen."""

    __slots__ = ("check", "hash", "size", "told")

    def __init__(self, key: str) -> None:
        self.check = FileCheck(bytes.fromhex(key) if _KEY.fullmatch(key) else b"")
        self.hash = hashlib.sha256()
        self.size = 0
        self.told = 0  # how many of its problems


class _Walk:
    """One way through a copy, line by line."""

    def __init__(self, known: Known | None, head: str | None, key: str | None) -> None:
        self._noted, self._head, self._key = known, head, key
        self._checkpoint = None if known is None else known.tip
        self._borne = Borne()
        self._number, self._chain = 0, BEGINNING
        self._days: list[str] = []
        self._problems: list[str] = []
        self._more = self._entries = self._whole = 0
        self._missing: list[str] = []
        self._noticed: dict[str, int] = {}
        self._keys: list[str] = []
        #: (device, file) → what is known of it; ``None`` where its beginning is missing.
        self._files: dict[tuple[str, str], _File | None] = {}
        #: Whether days are missing just before, so that the next file of the device may begin in them.
        self._hole = False
        self._seals: dict[str, int] = {}
        self._head_seen = False
        self._place = ""  # file and line of the copy
        self._torn = ""  # file and line of a last line without an end

    def say(self, problem: str) -> None:
        """Something is not as it was written."""
        if len(self._problems) < _MOST:
            self._problems.append(problem)
        else:
            self._more += 1

    def take(self, day: Day) -> None:
        """The next file of the copy. ``OSError``."""
        name, head = day.path.name, day.head
        self._tear()  # nothing is added to a file before the last, so that nothing mends it
        self._days.append(name)
        self._place = f"{name}, line 1"
        if head.after > self._number:
            self._missing.append(f"entries {self._number + 1} to {head.after}, before {name}")
            self._open()
            self._files, self._hole = {}, True
            self._borne.skip()
        elif (head.after, head.before) != (self._number, self._chain):
            self.say(f"{name}, line 1: it does not follow entry {self._number}")
        self._reached(head.after, head.before)
        try:
            with opened(day.path, day.packed) as file:
                for number, line in enumerate(iter(partial(file.readline, MOST_LINE), b""), 1):
                    self._place = f"{name}, line {number}"
                    self._line(line, first=number == 1)
        except HemLogDamaged as error:
            self.say(str(error))
        if day.packed:
            self._tear()

    def _tear(self) -> None:
        """A line without an end is damage, unless it is the last of all and was never written whole."""
        if self._torn:
            self.say(f"{self._torn}: it has no end")
            self._torn = ""

    def _reached(self, number: int, chain: str) -> None:
        self._number, self._chain = number, chain
        if chain == self._head:
            self._head_seen = True
        checkpoint = self._checkpoint
        if checkpoint is not None and number == checkpoint.number and chain != checkpoint.chain:
            self.say(f"{self._place}: entry {number} is another than was written")
        if self._noted is not None and number == self._noted.tip.number:
            self._hold(self._noted)
            self._noted = None

    def _hold(self, known: Known) -> None:
        """What was noted of files at this entry is what the entries up to it tell of them."""
        files = self._borne.files(known)
        for name in sorted(known.files.keys() | files.keys()):
            if known.files.get(name) != files.get(name):
                self.say(f"state.json: {printable(name)} was noted otherwise than the copy tells of it")

    def _line(self, line: bytes, *, first: bool) -> None:
        self._tear()
        if line[-1:] != b"\n":
            self._torn = self._place
            return
        try:
            values, chain = unchained(line, self._chain)
        except ValueError as error:
            self.say(f"{self._place}: {error}")
            try:  # goes on from what the line says of itself
                values, chain = unchained(line, None)
            except ValueError:
                self._number, self._chain = self._number + (not first), ""
                return
        if first:  # its head, which was read before
            self._chain = chain
            return
        number = values.get("number")
        try:
            if type(number) is not int:
                raise ValueError("'number' is not int")
            if number != self._number + 1:
                self.say(f"{self._place}: entry {number} follows {self._number}")
            self._entries += 1
            if "own" in values:
                self._own(Entry.read(values))
            else:
                self._device_line(values)
        except (ValueError, TypeError, KeyError, AttributeError):  # it was chained by who writes no such
            self.say(f"{self._place}: no entry as they are written")
            number = self._number + 1
        self._reached(number, chain)

    def _vouching(self, key: str) -> None:
        """Each log key is noted once."""
        if key and key not in self._keys:
            self._keys.append(key)
            if self._key is not None and key != self._key:
                self.say(f"{self._place}: another log key than the one given: {key}")

    def _own(self, entry: Entry) -> None:
        assert entry.own is not None  # noqa: S101 - by the only caller
        self._vouching(entry.log_key)
        self._borne.take(entry)
        place, name = (entry.device, entry.file), entry.own.name
        if name == "file-collected":
            self._closed(self._file(place), entry.file, entry.own.data)
            self._files.pop(place, None)
        elif name == "file-continues":
            self._compare(self._file(place), entry.file, entry.own.data)
        elif name == "sealed":
            problem = doubt(entry.own.data, self._number, self._chain)
            if problem is not None:
                self.say(f"{self._place}: {problem}")
            else:
                self._seals[entry.own.data["kid"]] = entry.own.data["sealed"]
        elif name not in ORDINARY:
            self._noticed[name] = self._noticed.get(name, 0) + 1

    def _device_line(self, values: Mapping[str, Any]) -> None:
        """A line of the device's, without making an entry of it: there are many."""
        line, name, key = values["line"], values["file"], values["log_key"]
        self._vouching(key)
        place = values["device"], name
        if line == 1:
            self._files[place] = _File(key)
        elif place not in self._files:
            self._beginless(line, name)
            self._files[place] = None
        self._hole = False
        file = self._files[place]
        if file is None:
            return
        if line != file.check.line + 1:
            self.say(f"{self._place}: line {line} of {name} follows {file.check.line}")
        text, end = (
            values["raw"].encode("utf-8", "surrogateescape"),
            values.get("end", "\r\n").encode("ascii"),
        )
        genuine = file.check.vouches(text, end)
        if len(file.check.problems) > file.told:
            self._told(file, name)
        if genuine is not values["genuine"]:
            self.say(f"{self._place}: what vouches for it was another when it was collected")
        file.hash.update(text + end)
        file.size += len(text) + len(end)

    def _beginless(self, line: int, name: str) -> None:
        """A line of a file whose first line was not seen: it can only be in days that are missing before."""
        if not self._hole:
            self.say(f"{self._place}: line {line} of {name}, and none before")
            return
        self._missing.append(f"the beginning of the device's file {name}, before {self._place}")
        if self._key is not None:
            self.say(f"{self._place}: nothing vouches for {name}, whose beginning is missing")

    def _file(self, place: tuple[str, str]) -> _File | None:
        """What an own event about a file is held against; ``None``: its lines may be in days that are
        missing."""
        hole, self._hole = self._hole, False
        return self._files.get(place, None if hole else _File(""))

    def _open(self) -> None:
        """Files that have not ended: lines that no MAC key stands before."""
        for (_, name), file in self._files.items():
            if file is not None and (file.check.line > 1 or not file.check.firmware):
                for problem in sorted(set(file.check.finish()) - set(file.check.problems)):
                    self.say(f"{name}, {problem}")

    def _told(self, file: _File, name: str) -> None:
        for problem in file.check.problems[file.told :]:
            self.say(f"{self._place}: {name}, {problem}")
        file.told = len(file.check.problems)

    def _closed(self, file: _File | None, name: str, data: Mapping[str, Any]) -> None:
        if file is None:
            return
        if not file.check.line:  # of nothing, or of lines that are not there
            self._compare(file, name, data)
            return
        for problem in sorted(set(file.check.finish()) - set(file.check.problems)):
            self.say(f"{self._place}: {name}, {problem}")
        self._whole += 1
        self._compare(file, name, data)

    def _compare(self, file: _File | None, name: str, data: Mapping[str, Any]) -> None:
        if file is None:
            return
        found = {"lines": file.check.line, "bytes": file.size, "sha256": file.hash.hexdigest()}
        if {each: data.get(each) for each in found} != found:
            self.say(f"{self._place}: {name} is another than was collected")

    def report(self) -> CopyReport:
        """What was found, now that all was seen."""
        self._open()
        checkpoint = self._checkpoint
        if checkpoint is not None and self._number < checkpoint.number:
            self._tear()
            self.say(
                f"{checkpoint.number} entries were written, and none is there"
                if not self._days
                else f"it ends with entry {self._number}; {checkpoint.number} were written"
            )
        if self._head is not None and not self._head_seen:
            self.say(f"the head that was noted is not in it: {self._head}")
        return CopyReport(
            tuple(self._days),
            self._entries,
            self._whole,
            Tip(self._number, self._chain),
            tuple(self._problems),
            self._more,
            tuple(self._missing),
            self._noticed,
            (f"{self._torn}: it has no end; the next collection cuts it off",) if self._torn else (),
            tuple(self._keys),
            self._seals,
        )
