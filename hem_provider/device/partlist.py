"""The pages of a long listing that is under way, on disk, so that another process goes on where it was
interrupted.

It goes on from pages that are as old as those of an uninterrupted listing of a full device may be, and no
older. A page begins with the last key of the one before, in another process too: a key that was there all the
time is in one of them, wherever others put or delete keys meanwhile. A key that others changed or deleted may
still be told as it was when its page was asked for, as in any listing that takes minutes; who wants it
otherwise begins anew (``refresh``). A change made from here ends it: the file is deleted with the list.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress

from hem_provider.device.cache import DiskCache, entry_of, record_of
from hem_provider.device.pages import Course
from hem_provider.errors import HemAnswerFault
from hem_provider.files import open_own, replace_file
from hem_provider.records import frozen
from hem_provider.rest.auth import Identity
from hem_provider.rest.keymgmt import KeyRecord, Page

__all__ = ["RESUMED_FOR", "Part", "PartList"]

#: Seconds from a listing's first page on in which another process goes on with it: 16 384 keys, the most
#: that are known to fit into a device, take 290 s on hardware.
RESUMED_FOR = 300.0
_FORMAT = 1


@frozen
class Part:
    """What was listed: the identity of the device, when the first page was asked for (Unix seconds), the
    records in the device's order, and the place where the next page begins."""

    eid: str
    begun: float
    records: tuple[KeyRecord, ...]
    next: int


class PartList:
    """The file of one device, and the listing of this process that is noted in it, if any."""

    def __init__(self, cache: DiskCache, device: str) -> None:
        """``device``: as messages name it."""
        self._cache = cache
        self._device = device
        self._run: str | None = None

    def note(self, page: Page, begun: float, identified: Callable[[], Identity] | None) -> None:
        """Note a page; a listing is noted from its first page on, if ``identified`` tells whose it is."""
        if self._run is not None:
            self._add(page, self._run)
        elif page.offset == 0 and identified is not None:
            self.begin(identified().eid, begun, page)

    def begin(self, eid: str, begun: float, first: Page) -> None:
        """Note a listing, from its first page on."""
        path = self._cache.place("part")
        if path is None:
            return
        run = secrets.token_hex(8)
        head = {"format": _FORMAT, "eid": eid, "begun": begun, "run": run}
        with suppress(OSError):
            replace_file(path, _line(head) + _page_line(run, first))
            self._run = run

    def _add(self, page: Page, run: str) -> None:
        """Nothing is noted of a listing whose file is gone."""
        path = self._cache.place("part")
        if path is None:
            return
        line = _page_line(run, page)
        with suppress(OSError):
            handle = open_own(path, os.O_RDWR | os.O_APPEND)
            try:
                size = os.fstat(handle).st_size
                if size and os.pread(handle, 1, size - 1) != b"\n":  # somebody was killed within a line
                    line = b"\n" + line
                os.write(handle, line)  # one write: whole among other processes' pages
            finally:
                os.close(handle)

    def resume(self) -> Part | None:
        """What a process noted lately of a listing that it did not end; this one's goes on with it."""
        said, *lines = self._cache.read("part").split(b"\n")
        try:
            head = json.loads(said or b"null")
            run, eid, begun = head["run"], head["eid"], float(head["begun"])
            if head["format"] != _FORMAT or not 0 <= time.time() - begun < RESUMED_FOR:
                return None
            pages = [Page(*each[1:]) for each in map(_page, lines) if each is not None and each[0] == run]
            records, place = self._replayed(pages)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError, HemAnswerFault):
            return None
        if place is None or not records:
            return None
        self._run = run
        return Part(eid, begun, records, place)

    def drop(self) -> None:
        """Note no more."""
        self._run = None

    def end(self) -> bool:
        """The listing is complete: whether nobody here has changed a key since its first page was noted."""
        if self._run is None:
            return True
        run, self._run = self._run, None
        said = self._cache.read("part").partition(b"\n")[0]
        path = self._cache.place("part")
        if path is None or f'"run":"{run}"'.encode() not in said:
            return False
        with suppress(OSError):
            path.unlink()
        return True

    def _replayed(self, pages: list[Page]) -> tuple[tuple[KeyRecord, ...], int | None]:
        """The records of pages that follow each other, and where the next one begins."""
        course, records = Course(self._device), dict[str, KeyRecord]()
        for page in pages:
            if course.next is None or page.offset > course.next:
                break  # one is missing before it
            course.next = page.offset
            if course.take(page):
                records.update((each.kid, each) for each in page.records)
        return tuple(records.values()), course.next


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"


def _page_line(run: str, page: Page) -> bytes:
    return _line([run, [entry_of(each) for each in page.records], page.offset, page.total])


def _page(line: bytes) -> tuple[str, tuple[KeyRecord, ...], int, int] | None:
    """The run and the parts of a page; ``None`` for a line that is none."""
    try:
        run, entries, offset, total = json.loads(line)
        if not isinstance(run, str) or not isinstance(offset, int) or not isinstance(total, int):
            return None
        return run, tuple(map(record_of, entries)), offset, total
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
