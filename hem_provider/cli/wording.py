"""Facts of a device in the words of ``hem status`` and ``hem doctor``."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from hem_provider.device.contact import Certificate, Glance, Trust
from hem_provider.device.health import duration, left
from hem_provider.device.hem import Status, Version

__all__ = [
    "ago",
    "certificate_line",
    "clock_line",
    "counted",
    "day",
    "disks",
    "moment",
    "size",
    "state_line",
    "until",
    "version_line",
]

_SECTOR = 512
#: Seconds that whole seconds, and the way of an answer, may make of clocks that agree.
_AS_OURS = 2
_MODES = {"rw": "to read and write", "ro": "to read only", "-": "not shown"}


def moment(seconds: float) -> str:
    """A time in UTC, as people write it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def day(seconds: float) -> str:
    """A date in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def ago(seconds: float) -> str:
    """How long it is, after it has happened."""
    return "just now" if seconds < 2 else f"{duration(seconds)} ago"


def size(sectors: int) -> str:
    """Of a disk."""
    count = sectors * _SECTOR
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def disks(storage: Iterable[str]) -> str:
    """Disks as the status has them: ``SECTORS:MODE``."""
    parts = [each.partition(":") for each in storage]
    return "; ".join(
        f"disk {number}: {size(int(sectors))}, {_MODES.get(mode, mode)}"
        for number, (sectors, _, mode) in enumerate(parts)
    )


def certificate_line(seen: Certificate, now: float) -> str:
    """For whom, by whom, until when."""
    if seen.not_after is None:
        return f"none is shown: {seen.reason}"
    names = ", ".join(seen.names) or seen.subject or "no name"
    doubt = f"; {seen.reason}" if seen.reason and seen.trust is Trust.GOOD else ""
    time_left = until(seen.not_after - now)
    return f"for {names}, by {seen.issuer or 'no name'}, until {day(seen.not_after)} ({time_left}){doubt}"


def until(seconds: float) -> str:
    """How long something lasts yet, or is over; the same wherever a certificate is told of."""
    return f"{left(seconds)} left" if seconds >= 0 else f"ended {left(-seconds)} ago"


def counted(number: int, what: str) -> str:
    """As "1 call", "2 calls"."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def clock_line(glance: Glance) -> str:
    """The device's time, and how far from ours."""
    if glance.drift is None or glance.status.time is None:
        return "not set"
    apart = abs(glance.drift)
    drift = f"{duration(apart)} {'ahead of' if glance.drift > 0 else 'behind'}" if apart > _AS_OURS else "as"
    return f"{moment(glance.status.time)}, {drift} this machine"


def state_line(status: Status) -> str:
    """What is latched, and for how long it is up."""
    words = "; ".join(status.faults) or ("healthy" if status.initialized else "factory-fresh")
    heat = "" if status.temperature is None else f", {status.temperature:g} °C"
    damp = "" if status.humidity is None else f", {status.humidity:g} % humidity"
    return f"{words}; up for {duration(status.uptime)}{heat}{damp}"


def version_line(version: Version) -> str:
    """Firmware and boot loader."""
    loader = f"; {version.bootloader}" if version.bootloader else ""
    return f"{version.firmware}{loader}"
