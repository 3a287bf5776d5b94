"""Fetching what is new of a device's log, and noticing what is odd about it.

What it costs: one call for the list (128 ids; where it is as it was, only its end is listed), and one for
each file that is new. A file that was closed never changes, and is not read again unless that is asked for.
The file being written is refused by firmware 1.2.2 (406), which is found out by one call for each firmware;
where it is shown, it is read each time, and its new lines are kept. Log key and serial number take a call
each when a device is first seen.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from hem_provider.auditlog.entry import Entry, OwnEvent
from hem_provider.auditlog.progress import Begun, Known
from hem_provider.auditlog.source import Source
from hem_provider.device.auditlog import FileCheck, lines_of
from hem_provider.errors import (
    HemAnswerFault,
    HemClockError,
    HemConnectionError,
    HemDeviceFault,
    HemOperationFailed,
    HemRequestRefused,
)

__all__ = ["AWAY", "Append", "Collector"]

#: Errors that mean that a device is not there, or not as it was: it may be later.
AWAY = (HemConnectionError, HemDeviceFault, HemClockError)
#: Entries that are appended at once, and own events about the lines of one file, at most.
_BATCH, _MOST_ODD = 5000, 100
#: Seconds by which a device's clock may be ahead of this machine's: it runs up to 8 % fast between check-ins.
_AHEAD = 86400
_SHOWN = 500

#: Takes entries without numbers, keeps them, and gives them back with their numbers.
Append = Callable[[Sequence[Entry]], Sequence[Entry]]


class Collector:
    """Collects what is not ``known``; what is appended becomes known.

    ``wanted``: which of the new files, by their ids, the one being written last, are to be read at all;
    ``clock``: Unix seconds.
    """

    def __init__(
        self,
        known: Known,
        append: Append,
        *,
        wanted: Callable[[Sequence[str]], Collection[str]] = lambda files: files,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source: Source
        self._known, self._append = known, append
        self._wanted, self._clock = wanted, clock
        self._asked = False  # whether the device was asked for its log key in this look
        self._added = 0

    def collect(
        self, source: Source, *, reread: bool = False, read: Callable[[str], None] = lambda _: None
    ) -> int:
        """One look at the device; how many entries were added.

        ``reread``: read the files again that were collected, and hold them against what they were; ``read``
        is told of each file after it was read. What calls raise, after which everything that was fetched
        is kept; ``AWAY`` is an own event.
        """
        self._source = source
        self._asked = False
        self._added = 0
        try:
            self._collect(reread, read)
        except AWAY as error:
            self.away(error)
            raise
        return self._added

    def away(self, error: Exception) -> None:
        """The device was not reached: an own event, once."""
        if not self._known.away:
            self._note("device-away", str(error).partition("\n")[0][:_SHOWN], reason=type(error).__name__)

    def note(self, event: OwnEvent) -> None:
        """Add an event of the caller's. ``OSError``."""
        self._add([self._entry("", 0, "", own=event)])

    def _collect(self, reread: bool, read: Callable[[str], None]) -> None:
        known = self._known
        page = self._source.page(max(0, len(known.listed()) - 1))
        if known.away:
            since = self._now() - known.away
            self._note("device-back", f"the device is reached again, after {since} s", seconds=since)
        if self._is_another():
            page = self._source.page(0)
        new, current = self._new(page)
        again = known.listed() if reread else []
        wanted = set(self._wanted([*new, current] if current else new))
        refused: HemAnswerFault | None = None
        for file in (*again, *new):
            if file not in wanted and file not in known.files:
                known.pass_over(file)
                continue
            try:
                self._read(file, closed=True)
            except HemOperationFailed:  # it is being written after all: the next look finds it closed
                continue
            except HemAnswerFault as error:  # no file came: what is told of the others is not to wait for it
                refused = refused or error
                continue
            read(file)
        if current and current in wanted:
            self._peek(current)
        if refused is not None:
            raise refused

    def _is_another(self) -> bool:
        """Whether another device answers than before, or it has another identity."""
        known, device = self._known, self._source.device()
        if known.device in ("", device):
            known.device = device
            return False
        serial = self._source.serial()
        name = "device-wiped" if serial and serial == known.serial else "device-replaced"
        words = {
            "device-wiped": "the device was wiped: it has a new identity, and its log begins anew",
            "device-replaced": "another device answers, or one that was wiped: its log is another",
        }
        before, known.device = known.device, device
        key, known.log_key = known.log_key, ""
        self._note(name, words[name], before=before, serial=serial, log_key_before=key)
        return True

    def _new(self, page: tuple[tuple[str, ...], int]) -> tuple[list[str], str]:
        """The closed files that were not collected, and the one being written."""
        known = self._known
        there = known.listed()
        ids, total = page
        offset = max(0, len(there) - 1)
        if there and ids[:1] != (there[-1],):  # something else stands there: files are missing
            ids, total = self._source.page(0) if offset else (ids, total)
            offset = 0
        found = list(ids)
        while ids and offset + len(found) < total:
            ids, total = self._source.page(offset + len(found))
            found += ids
        if there and offset == 0:
            self._missed(there, set(found), total)
        new = [each for each in found if each not in known.files]
        return (new, "") if not found or found[-1] in known.files else (new[:-1], found[-1])

    def _missed(self, there: Sequence[str], listed: set[str], total: int) -> None:
        for file in dict.fromkeys((*there, *self._known.begun)):
            if file not in listed:
                text = f"the log file {file} is missing on the device, and was there before"
                self._note("gap", text, file=file, listed=total)
        self._known.missing -= listed

    def _peek(self, file: str) -> None:
        """Read the file being written, unless this firmware does not show it."""
        known = self._known
        if known.shut == known.firmware:
            return
        try:
            self._read(file, closed=False)
        except HemOperationFailed:
            known.shut = known.firmware

    def _read(self, file: str, *, closed: bool) -> None:
        try:
            content = self._source.read(file)
        except HemRequestRefused as error:
            if error.status != 404:
                raise
            text = f"the log file {file} is listed, and the device says that there is none"
            self._note("gap", text, file=file, unreadable=True)
            return
        known, kept = self._known, self._known.files.get(file)
        if kept is not None:
            seen = len(content), hashlib.sha256(content).hexdigest()
            if kept[1:] == seen:
                return
            self._altered(file, kept[1:], seen)
        begun = known.begun.get(file)
        if begun is not None and not begun.begins(content):
            self._altered(file, begun.seen[1:], (len(content), hashlib.sha256(content).hexdigest()))
            begun = None
        self._keep(file, content, begun or Begun(), closed=closed)

    def _altered(self, file: str, before: tuple[int, str], now: tuple[int, str]) -> None:
        text = f"the log file {file} reads otherwise than when it was collected; it is collected again"
        self._note("file-altered", text, file=file, before=list(before), now=list(now))

    def _keep(self, file: str, content: bytes, begun: Begun, *, closed: bool) -> None:
        waiting: list[Entry] = []
        for each in self._entries(file, content, begun, closed=closed):
            waiting.append(each)
            if len(waiting) >= _BATCH:
                self._add(waiting)
                waiting = []
        self._add(waiting)

    def _entries(self, file: str, content: bytes, begun: Begun, *, closed: bool) -> Iterator[Entry]:
        """What is new of a file: its lines, each followed by what is odd about it, and how far it goes. Where
        a collection was stopped behind a line, not all about that may have been told."""
        old, stopped, said = begun.count, bool(begun.lines), frozenset(begun.told)
        check, odd, ahead = self._check(content), 0, False
        seen, size = hashlib.sha256(), 0
        for text, end in lines_of(content):
            if not closed and not end:
                break  # it is being written just now
            told, jumps = len(check.problems), len(check.jumps)
            record = check.take(text, end)
            seen.update(text + end)
            size += len(text) + len(end)
            events = [*self._odd(check, told, jumps)]
            seconds = record.time - self._now() if record is not None and record.genuine else 0
            if seconds > _AHEAD and not ahead:
                ahead = True
                words = f"line {check.line}: the device's clock is days ahead of this machine's"
                events.append(("clock-jump", words, {"seconds": seconds}))
            if check.line > old:
                raw = text.decode("utf-8", "surrogateescape")
                yield self._entry(file, check.line, raw, record=record, end=end.decode("ascii"))
            elif check.line < old or not stopped:
                continue
            for name, words, data in events:
                odd += 1
                if odd <= _MOST_ODD and words not in said:
                    yield self._own(name, words, {"file": file, **data}, line=check.line)
        data = {"lines": check.line, "bytes": size, "sha256": seen.hexdigest()}
        if closed:
            problems = check.finish()
            for words in sorted(set(problems) - set(check.problems) - said):  # what only the end shows
                yield self._own("bad-line", words, {"file": file})
            state = "intact" if not problems else f"{len(problems)} problems"
            words = f"the log file {file} is collected: {check.line} lines, {state}"
            yield self._own("file-collected", words, {"file": file, **data, "problems": len(problems)})
        elif check.line > old:
            words = f"{check.line} lines of the log file {file}, which is being written, are collected"
            yield self._own("file-continues", words, {"file": file, **data})

    def _now(self) -> int:
        return int(self._clock())

    def _check(self, content: bytes) -> FileCheck:
        """A check under the log key; where that has not signed what it should have, the device is asked, once
        in a look, which it is now."""
        known = self._known
        if not known.log_key:
            self._key()
        key = bytes.fromhex(known.log_key)
        trial = FileCheck(key)
        for text, end in lines_of(content):
            trial.take(text, end)
            if trial.foreign and not self._asked:
                self._key()
                break
            if trial.line > 2 and not trial.foreign:
                break  # a key record stands first
        return FileCheck(bytes.fromhex(known.log_key))

    def _key(self) -> None:
        known = self._known
        key, self._asked = self._source.key().hex(), True
        before = known.log_key
        if key == before:
            return
        known.log_key = key
        if before:
            self._note("log-key-changed", "the device signs its log with another key", before=before, now=key)
        else:
            serial = known.serial or self._source.serial()
            self._note("log-key", "the device has proven its log key", now=key, serial=serial)

    def _odd(self, check: FileCheck, told: int, jumps: int) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """What the last line has added to a check, as own events."""
        for problem in check.problems[told:]:
            yield ("gap" if problem in check.gaps[-1:] else "bad-line"), problem, {}
        for jump in check.jumps[jumps:]:
            yield "clock-jump", jump, {}

    def _note(self, name: str, text: str, **data: Any) -> None:
        self._add([self._own(name, text, data)])

    def _own(self, name: str, text: str, data: Mapping[str, Any], *, line: int = 0) -> Entry:
        own = OwnEvent(name, text, {key: value for key, value in data.items() if key != "file"})
        return self._entry(data.get("file", ""), line, "", own=own)

    def _entry(self, file: str, line: int, raw: str, **values: Any) -> Entry:
        known = self._known
        settings: dict[str, Any] = {"record": None, **values}
        return Entry(0, self._now(), known.device, known.log_key, file, line, raw, **settings)

    def _add(self, entries: Sequence[Entry]) -> None:
        for each in self._append(entries):
            self._known.observe(each)
            self._added += 1
