"""New events, as they come: from a copy that is being collected, at no call, or from the device itself."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from hem_provider.auditlog.collecting import Collector
from hem_provider.auditlog.copy import LogCopy
from hem_provider.auditlog.entry import Entry
from hem_provider.auditlog.progress import Known
from hem_provider.auditlog.source import Source
from hem_provider.auditlog.telling import HIDDEN
from hem_provider.records import replace

__all__ = ["CopyFollower", "DeviceFollower"]


class CopyFollower:
    """New entries of a copy. ``since``: Unix seconds; what happened before is left out, ``None``: what is in
    the copy already. ``after``: the number of an entry, behind which all is new, whatever ``since`` is."""

    def __init__(self, copy: LogCopy, since: float | None, after: int | None = None) -> None:
        self._copy, self._since = copy, since
        if after is not None:
            self._since, self._after = -math.inf, after
        else:
            self._after = copy.tip().number if since is None else 0

    def new(self) -> Iterator[Entry]:
        """What has come since the last time. ``HemLogDamaged``, ``OSError``."""
        for entry in self._copy.entries(self._after):
            self._after = entry.number
            if _is_news(entry, self._since):
                yield entry


class DeviceFollower:
    """New entries of a device's log, which are kept nowhere; ``since`` as ``CopyFollower``.

    ``shut``: whether the device was found not to show the file that it is writing: its events come when a
    restart has closed it.
    """

    def __init__(self, since: float | None) -> None:
        self._since = since
        self._known = Known()
        self._entries: list[Entry] = []
        self._first = True
        self._collector = Collector(self._known, self._take, wanted=self._wanted)

    def new(self, source: Source) -> None:
        """Look for what has come since the last time: a call, and one for each file that is new; ``taken``
        gives it, after an error, too. What calls raise."""
        self._collector.collect(source)
        self._first = False

    def away(self, error: Exception) -> None:
        """The device was not reached."""
        self._collector.away(error)

    def taken(self) -> list[Entry]:
        """What was found and not given yet. No I/O."""
        found, self._entries = self._entries, []
        return [each for each in found if _is_news(each, self._since)]

    @property
    def shut(self) -> bool:
        """As the class says. No I/O."""
        return self._known.shut is not None

    def _take(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        first = self._known.tip.number
        numbered = [replace(each, number=first + n) for n, each in enumerate(entries, 1)]
        self._known.tip = replace(self._known.tip, number=first + len(numbered))
        self._entries += numbered
        return numbered

    def _wanted(self, files: Sequence[str]) -> Collection[str]:
        """At the first look those that were still written after ``since``, and then all."""
        if not self._first:
            return files
        since = self._since
        if since is None:
            return files[-1:]  # it grows, where it is shown
        kept = [file for file, after in pairwise(files) if int(after, 16) > since]
        return [*kept, *files[-1:]]


def _is_news(entry: Entry, since: float | None) -> bool:
    if entry.own is not None:
        return entry.own.name not in HIDDEN and (since is None or entry.collected >= since)
    if entry.record is None and entry.line == 1 and entry.raw.startswith("#"):
        return False
    return since is None or (entry.record.time if entry.record is not None else entry.collected) >= since
