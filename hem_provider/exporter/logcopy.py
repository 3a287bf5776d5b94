"""What the copy of a device's log on this machine tells, where one is collected (``hem log collect``)."""

from __future__ import annotations

from collections.abc import Iterator

from hem_provider.auditlog.checking import CopyReport, verify_copy
from hem_provider.auditlog.copy import LogCopy, usual_folder
from hem_provider.device.findings import Finding, Level
from hem_provider.device.thresholds import THRESHOLDS
from hem_provider.errors import HemError
from hem_provider.records import frozen

__all__ = ["LogSeen", "look_at_copy"]

#: Entries at the end of a copy among which its last record is looked for first.
_LAST = 500
_ADVICE = "hem log verify --copy"


@frozen
class LogSeen:
    """What verifying a log found. ``until``: Unix seconds, in the device's clock, of the last record where
    all of it is genuine."""

    until: float | None
    gaps: int
    problems: int
    findings: tuple[Finding, ...]


def look_at_copy(device: str) -> LogSeen | None:
    """Verify the copy of a configured device in its usual place: all of it, and no call. ``None`` where there
    is none, or it cannot be read."""
    try:
        copy = LogCopy(usual_folder(device))
        if not copy.days():
            return None
        report = verify_copy(copy)
        until = _last_time(copy, report.tip.number) if report.intact else None
    except (OSError, HemError):
        return None
    gaps = report.noticed.get("gap", 0)
    return LogSeen(until, gaps, len(report.problems) + report.more, tuple(_findings(report, gaps)))


def _last_time(copy: LogCopy, last: int) -> float | None:
    for after in sorted({max(last - _LAST, 0), 0}, reverse=True):
        times = [each.record.time for each in copy.entries(after) if each.record and each.record.genuine]
        if times:
            return times[-1]
    return None


def _findings(report: CopyReport, gaps: int) -> Iterator[Finding]:
    for each in report.problems[:1]:
        yield Finding(Level.FAULT, "log-altered", f"the copy of the log: {each}", _ADVICE)
    level = THRESHOLDS["log-gap"].level(gaps)
    if level is not Level.OK:
        yield Finding(level, "log-gap", f"the copy of the log: in {gaps} places records are missing", _ADVICE)
