"""When a measured value is well, a warning or a fault: one table, for ``hem status``, ``hem doctor``, the
metrics of ``hem exporter`` and the alert rules in ``packaging/monitoring``.
"""

from __future__ import annotations

from collections.abc import Mapping

from hem_provider.device.findings import Level
from hem_provider.records import frozen

__all__ = ["THRESHOLDS", "Threshold"]


@frozen
class Threshold:
    """A measured value is well within the warnings, a warning within the faults, else a fault; ``None``
    bounds nothing. ``source``: why just there."""

    name: str
    unit: str
    source: str
    fault_below: float | None = None
    warning_below: float | None = None
    warning_above: float | None = None
    fault_above: float | None = None

    def level(self, value: float) -> Level:
        """What the value is.

        >>> THRESHOLDS["certificate"].level(12)
        <Level.WARNING: 'warning'>
        """
        if _beyond(value, self.fault_below, self.fault_above):
            return Level.FAULT
        if _beyond(value, self.warning_below, self.warning_above):
            return Level.WARNING
        return Level.OK


def _beyond(value: float, least: float | None, most: float | None) -> bool:
    return (least is not None and value < least) or (most is not None and value > most)


#: Everything that is measured.
THRESHOLDS: Mapping[str, Threshold] = {
    row.name: row
    for row in (
        Threshold(
            "temperature",
            "°C",
            "the device works from 0 to 85 °C and latches a fault at 87 °C (device API §1.1)",
            fault_below=0,
            warning_above=75,
            fault_above=85,
        ),
        Threshold(
            "humidity",
            "%",
            "of the air, relative; nobody states bounds, and no firmware that is known tells it: 5 to 85 % "
            "is what indoor equipment is built for (IEC 60721-3-3, class 3K3), and at 95 % water condenses "
            "on whatever is 1 °C colder than the air",
            warning_below=5,
            warning_above=85,
            fault_above=95,
        ),
        Threshold(
            "certificate",
            "days",
            "a device's certificate runs 90 days and is offered anew weeks before (device API §1.3)",
            fault_below=7,
            warning_below=21,
        ),
        Threshold(
            "drift",
            "s",
            "from 60 s on a refused login is taken for a wrong clock; an hour is what a token lasts "
            "(device API §9.5, §20.3)",
            warning_above=60,
            fault_above=3600,
        ),
        Threshold(
            "answer",
            "s",
            "a bare call takes 0.25 to 0.6 s (device API §18); stalls are known (§1.4)",
            warning_above=2.5,
        ),
        Threshold(
            "free-slots",
            "slots",
            "a key takes a slot; deleted ones are free again after compaction (device API §17.3)",
            fault_below=1,
            warning_below=32,
        ),
        Threshold(
            "damaged-records",
            "records",
            "of the key repository: each is a key that may be lost (device API §17.3)",
            fault_above=0,
        ),
        Threshold(
            "fail-state",
            "bits",
            "a latched bit stops most of what a device does (device API §17.1)",
            fault_above=0,
        ),
        Threshold(
            "entropy",
            "failures",
            "of the random number source, which is tested every 15 s: keys and signatures made then may be "
            "guessed (device API §17.1, bit 02)",
            fault_above=0,
        ),
        Threshold(
            "self-test",
            "failures",
            "of the known-answer tests, and of the secure element (device API §17.1, bit 01, §17.3)",
            fault_above=0,
        ),
        Threshold(
            "log-gap",
            "gaps",
            "where records are missing: they are numbered without any (device API §14.3)",
            fault_above=0,
        ),
        Threshold(
            "log-event",
            "times",
            "another device, identity or log key, or a file that reads otherwise than before: the log is no "
            "longer the one that was trusted",
            fault_above=0,
        ),
        Threshold(
            "log-age",
            "days",
            "since the copy of the log was brought up to date, which a timer is to do each hour: what is "
            "not copied is gone with the device",
            warning_above=2,
            fault_above=7,
        ),
    )
}
