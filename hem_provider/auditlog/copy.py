"""A copy of a device's log: a folder of its own for each device (0700), with a file a day (0600) to which
lines are only ever appended, each chained to the one before (``entry``).
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from hem_provider.auditlog.days import Day, days_in, name_of, number_of, opened, seek, whole_lines
from hem_provider.auditlog.entry import BEGINNING, Entry, Head, chained, unchained
from hem_provider.errors import HemConfigError, HemLogDamaged
from hem_provider.files import (
    AppendedFile,
    data_home,
    make_private,
    open_own,
    release_lock,
    sweep,
    take_lock,
)
from hem_provider.records import frozen, replace

__all__ = ["Busy", "CopyWriter", "LogCopy", "Tip", "usual_folder"]

_LOCK = "lock"
#: Stands in the lines of own events alone: quotes within a text are escaped.
_OWN = b',"own":"'
#: Bytes of a device's name that is the name of its folder, at most.
_LONGEST = 200
#: Seconds: whoever looks whether somebody collects holds the lock for a moment.
_PATIENCE = 0.25


class Busy(HemConfigError):
    """Another process collects into this copy; the message names it."""


@frozen
class Tip:
    """The end of a copy: the number of its last entry (0: none), and the chain up to there."""

    number: int
    chain: str


def usual_folder(device: str) -> Path:
    """Where the copy of a configured device is, unless another place is named: ``hem/log/NAME`` in the user's
    data directory, for every name a folder of its own. ``HemConfigError`` where there is no such.

    A name of letters, digits and ``-_.`` (200 bytes at most, no dot first) is the folder's; of any other what
    cannot stand there is ``_``, and behind ``~``, which no such name has, is what tells it from others.
    """
    home = data_home()
    if home is None:
        raise HemConfigError("no folder is known for the copy of the log; name one: --to FOLDER")
    safe = "".join(each if each.isalnum() or each in "-_." else "_" for each in device).lstrip(".")
    whole = device.encode("utf-8", "surrogatepass")
    if safe != device or not 0 < len(whole) <= _LONGEST:
        safe = f"{safe[:40]}~{hashlib.sha256(whole).hexdigest()[:16]}"
    return home / "hem" / "log" / safe


class LogCopy:
    """The copy in ``folder``. Constructing does no I/O, and reading takes no lock: a line that is being
    written is not there yet.

    Methods raise ``OSError``, also ``PermissionError`` for files that are not this user's alone, and
    ``HemLogDamaged``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def days(self) -> list[Day]:
        """Its files, in order."""
        return days_in(self.folder)

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """The entries behind number ``after`` that are there now, in order. Files that were moved away are
        passed over: numbers go on behind them.

        ``HemLogDamaged`` at the first line that is not chained to the one before.
        """
        days = self.days()
        first = max((n for n, day in enumerate(days) if day.head.after <= after), default=0)
        for day in days[first:]:
            for _, _, values in _lines(day, after):
                number = values.get("number")
                if number is None or (isinstance(number, int) and number <= after):
                    continue
                try:
                    entry = Entry.read(values)
                except ValueError as error:
                    raise HemLogDamaged(f"{day.path}: after entry {after}: {error}") from None
                after = entry.number
                yield entry

    def own_events(self, until: int) -> Iterator[Entry | None]:
        """Our own events up to entry number ``until``, ``None`` where days are missing before the next one,
        or at the end. No line is held against the one before: what cannot be read is left out."""
        number = 0
        for day in self.days():
            if day.head.after >= until:
                break
            if day.head.after > number:
                yield None
            number = day.head.after
            for line in _readable(day):
                number = number_of(line, number)
                if _OWN not in line or number > until:
                    continue
                with suppress(ValueError):
                    yield Entry.read(unchained(line, None)[0])
        if number < until:
            yield None

    def last(self) -> Entry | None:
        """The last entry."""
        for day in reversed(self.days()):
            line = _last_lines(day)[-1]
            try:
                values, _ = unchained(line, None)
                if "copy" not in values:
                    return Entry.read(values)
            except ValueError as error:
                raise HemLogDamaged(f"{day.path}, its last line: {error}") from None
        return None

    def tip(self) -> Tip:
        """Number and chain of the last entry."""
        days = self.days()
        return _tip(days[-1]) if days else Tip(0, BEGINNING)

    def holder(self) -> str | None:
        """Who is collecting into it just now, in words; ``None``: nobody."""
        try:
            handle = take_lock(self.folder / _LOCK, "the lock of a copy", 0)
        except FileNotFoundError:
            return None
        except TimeoutError:
            return _who(self.folder / _LOCK)
        release_lock(handle)
        return None

    @contextmanager
    def writing(self, clock: Callable[[], float] = time.time) -> Iterator[CopyWriter]:
        """What appends to it, as long as the block lasts; the folder is made where it is missing.

        ``clock``: Unix seconds. ``Busy`` when another process does; ``HemLogDamaged`` when its last line is
        none to go on from; ``OSError``.
        """
        make_private(self.folder)
        lock = self.folder / _LOCK
        try:
            handle = take_lock(lock, "the lock of a copy", _PATIENCE)
        except TimeoutError:
            raise Busy(f"{self.folder}: {_who(lock)} collects into this copy already") from None
        try:
            sweep(self.folder, age=0)  # of writers that were killed: no other is at work now
            _sign(handle, lock)
            writer = CopyWriter(self, clock)
            try:
                yield writer
            finally:
                writer.close()
        finally:
            release_lock(handle)


class CopyWriter:
    """Appends to a copy; ``LogCopy.writing`` gives it, and holds the lock. ``tip``: the end of the copy."""

    def __init__(self, copy: LogCopy, clock: Callable[[], float]) -> None:
        self._folder, self._clock = copy.folder, clock
        self._file: AppendedFile | None = None
        days = copy.days()
        self._day = ""
        if days and not days[-1].packed:
            self._open(days[-1].path)  # what was torn is cut off before the last line is read
            self._day = days[-1].day
        try:
            newest = copy.days()[-1:]
            self.tip = _tip(newest[0]) if newest else Tip(0, BEGINNING)
            self._day = max(self._day, newest[0].day) if newest else self._day
        except BaseException:
            self.close()
            raise

    def append(self, entries: Iterable[Entry]) -> list[Entry]:
        """Add entries, which get their numbers here, and make them last: all, or after an ``OSError`` none.
        They are given back with their numbers."""
        entries = list(entries)
        if not entries:
            return []
        now = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%d")
        day = max(now, self._day)  # a clock that was set back makes no file before the newest
        if self._file is None or day != self._day:
            self._open(self._folder / name_of(day))
            self._day = day
        file, tip = self._file, self.tip
        assert file is not None  # noqa: S101 - just opened
        lines = []
        if file.size == 0:
            line, chain = chained(Head(day, tip.number, tip.chain).body(), tip.chain)
            lines.append(line)
            tip = Tip(tip.number, chain)
        numbered: list[Entry] = []
        for entry in entries:
            numbered.append(replace(entry, number=tip.number + 1))
            line, chain = chained(numbered[-1].body(), tip.chain)
            lines.append(line)
            tip = Tip(tip.number + 1, chain)
        file.append(lines)
        self.tip = tip
        return numbered

    def _open(self, path: Path) -> None:
        self.close()
        self._file = AppendedFile(path)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _lines(day: Day, after: int) -> Iterator[tuple[bytes, str, dict[str, object]]]:
    """The lines of a file from near entry ``after`` on, each held against the one before."""
    with opened(day.path, day.packed) as file:
        before: str | None = day.head.before
        if not day.packed and after > day.head.after:
            seek(file, os.fstat(file.fileno()).st_size, after)
            before = None if file.tell() else before
        place = f"after entry {after}" if before is None else "line"
        for number, line in enumerate(whole_lines(file, day.path), 1):
            try:
                values, before = unchained(line, before)
            except ValueError as error:
                at = f"line {number}" if place == "line" else f"line {number} {place}"
                raise HemLogDamaged(f"{day.path}, {at}: {error}") from None
            yield line, before, values


def _readable(day: Day) -> Iterator[bytes]:
    """The lines of a file, as far as it can be read."""
    with suppress(HemLogDamaged), opened(day.path, day.packed) as file:
        yield from whole_lines(file, day.path)


def _last_lines(day: Day) -> list[bytes]:
    """The last two whole lines of a file, or its only one."""
    with opened(day.path, day.packed) as file:
        if day.packed:
            kept: list[bytes] = []
            for line in whole_lines(file, day.path):
                kept = [*kept[-1:], line]
            return kept
        size = os.fstat(file.fileno()).st_size
        span = 4096
        while True:
            file.seek(max(0, size - span))
            lines = list(whole_lines(file, day.path))
            if span >= size:
                return lines[-2:]
            if len(lines) > 2:  # the first may have been begun before
                return lines[-2:]
            span *= 8


def _tip(day: Day) -> Tip:
    lines = _last_lines(day)
    try:
        before = unchained(lines[0], None)[1] if len(lines) > 1 else day.head.before
        values, chain = unchained(lines[-1], before)
        number = day.head.after if "copy" in values else Entry.read(values).number
    except ValueError as error:
        raise HemLogDamaged(
            f"{day.path}, its last line: {error}; nothing is added to a copy that is damaged: collect into "
            "another folder, and see 'hem log verify --copy'"
        ) from None
    return Tip(number, chain)


def _sign(handle: int, lock: Path) -> None:
    """Say in the lock who holds it."""
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode("ascii"), 0)
    except OSError as error:
        error.filename = str(lock)
        raise


def _who(lock: Path) -> str:
    try:
        with os.fdopen(open_own(lock, os.O_RDONLY), "rb") as file:
            text = file.read(32).decode("ascii", "replace").strip()
    except OSError:
        text = ""
    return f"process {text}" if text.isdigit() else "another process"
