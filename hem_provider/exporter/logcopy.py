"""What the copy of a device's log on this machine tells, where one is collected (``hem log collect``)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from hem_provider.auditlog.checking import ORDINARY, CopyReport, verify_copy
from hem_provider.auditlog.copy import LogCopy, usual_folder
from hem_provider.auditlog.entry import OWN_EVENTS
from hem_provider.auditlog.facts import ALERTS
from hem_provider.auditlog.looked import last_look
from hem_provider.auditlog.progress import is_kept
from hem_provider.device import health
from hem_provider.device.findings import Finding, Level
from hem_provider.device.thresholds import THRESHOLDS
from hem_provider.errors import HemConfigError, HemError
from hem_provider.printable import printable
from hem_provider.records import field, frozen

__all__ = ["LogSeen", "look_at_copy"]

#: Entries at the end of a copy among which its last record is looked for first.
_LAST = 500
_DAY = 86_400
_ADVICE = "hem log verify --copy"


@frozen
class LogSeen:
    """What verifying a log found. ``until``: Unix seconds, in the device's clock, of the last record where
    all of it is genuine; ``gaps``: ``None`` where it could not be read. Of a copy, ``events``: name of what
    was noticed while collecting, and is not ordinary → how often; ``collected``: Unix seconds, in this
    machine's clock, when it was brought up to date last."""

    until: float | None
    gaps: int | None
    problems: int
    findings: tuple[Finding, ...]
    events: Mapping[str, int] = field(default_factory=dict)
    collected: float | None = None


def look_at_copy(device: str, clock: Callable[[], float] = time.time) -> LogSeen | None:
    """Verify the copy of a configured device in its usual place: all of it, and no call. ``None`` where there
    is nothing of one; a copy that cannot be read is a problem.

    ``clock``: Unix seconds.
    """
    try:
        copy = LogCopy(usual_folder(device))
    except HemConfigError:
        return None  # this user has no place for one
    try:
        try:
            return _seen(copy, clock())
        except FileNotFoundError:  # a file was packed or moved away just then
            return _seen(copy, clock())
    except (OSError, HemError) as error:
        return _unread(copy, error, clock())


def _seen(copy: LogCopy, now: float) -> LogSeen | None:
    if not is_kept(copy.folder):
        return None
    report = verify_copy(copy)
    until = _last_time(copy, report.tip.number) if report.intact else None
    gaps, collected = report.noticed.get("gap", 0), _collected(copy)
    findings = (*_findings(report, gaps), *_of_age(collected, now))
    events = {name: report.noticed.get(name, 0) for name in OWN_EVENTS if name not in ORDINARY}
    return LogSeen(until, gaps, len(report.problems) + report.more, findings, events, collected)


def _unread(copy: LogCopy, error: Exception, now: float) -> LogSeen:
    """Nothing is known of its gaps and events, which is told as such."""
    collected = _collected(copy)
    text = f"the copy of the log cannot be read: {printable(str(error))}"
    findings = (Finding(Level.FAULT, "log-altered", text, _ADVICE), *_of_age(collected, now))
    return LogSeen(None, None, 1, findings, collected=collected)


def _last_time(copy: LogCopy, last: int) -> float | None:
    """When the last genuine record is from. What vouches for a file was verified where its beginning is
    there; else the copy merely says so, and it does not count."""
    for after in sorted({max(last - _LAST, 0), 0}, reverse=True):
        begun: set[tuple[str, str]] = set()
        found = None
        for each in copy.entries(after):
            place = each.device, each.file
            if each.line == 1 and each.own is None:
                begun.add(place)
            if each.record is not None and each.record.genuine and place in begun:
                found = each.record.time
        if found is not None:
            return found
    return None


def _collected(copy: LogCopy) -> float | None:
    try:
        return last_look(copy)
    except (OSError, HemError):
        return None  # told as a problem of the copy


def _findings(report: CopyReport, gaps: int) -> Iterator[Finding]:
    for each in report.problems[:1]:
        yield Finding(Level.FAULT, "log-altered", f"the copy of the log: {printable(each)}", _ADVICE)
    level = THRESHOLDS["log-gap"].level(gaps)
    if level is not Level.OK:
        yield Finding(level, "log-gap", f"the copy of the log: in {gaps} places records are missing", _ADVICE)
    for name in sorted(ALERTS & report.noticed.keys()):
        told = f"noticed while the log was collected: {OWN_EVENTS[name]}"
        yield from health.of_log_event(name, report.noticed[name], told, _ADVICE)


def _of_age(collected: float | None, now: float) -> list[Finding]:
    return [] if collected is None else health.of_log_age((now - collected) / _DAY)
