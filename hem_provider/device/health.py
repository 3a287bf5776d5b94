"""What is well with a device and what is not, asked by ``hem status``, ``hem doctor`` and whoever watches
devices: facts that become findings.

All functions are pure. Bounds are those of ``device/thresholds.py``, names and advice those of
``device/findings.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from hem_provider.device.contact import Certificate, MisshapenError, Trust
from hem_provider.device.findings import (
    ANSWERED,
    ERRORS,
    FAIL_STATES,
    KNOWN_DEFECTS,
    LOST,
    MISSHAPEN,
    REPAIR,
    REPLUG,
    RESTART,
    TRUSTS,
    WORKED_AROUND,
    Finding,
    Level,
)
from hem_provider.device.thresholds import THRESHOLDS, Threshold
from hem_provider.errors import HemDeviceFault, HemError
from hem_provider.rest.configuration import Attestation
from hem_provider.rest.system import SelfTest, Status, Version
from hem_provider.rest.wire import ConnectionLostError

__all__ = [
    "ANSWERED",
    "FAIL_STATES",
    "KNOWN_DEFECTS",
    "THRESHOLDS",
    "TRUSTS",
    "WORKED_AROUND",
    "Finding",
    "Level",
    "Threshold",
    "duration",
    "gaps",
    "left",
    "of_answer_time",
    "of_attestation",
    "of_certificate",
    "of_drift",
    "of_error",
    "of_log",
    "of_log_age",
    "of_log_event",
    "of_selftest",
    "of_status",
    "of_version",
    "release_of",
]


#: Bit of the fail state latch → its row of the table; the others are ``fail-state``.
_ROWS: Mapping[int, str] = {0x01: "self-test", 0x02: "entropy"}


def of_status(status: Status) -> list[Finding]:
    """What a device's status tells."""
    found = [
        Finding(_latched(bit), name, f"fail state: {text}", advice)
        for (bit, (name, advice)), text in zip(
            ((bit, row) for bit, row in FAIL_STATES.items() if status.fls_state & bit),
            status.faults,
            strict=True,
        )
    ]
    if status.fls_state & ~sum(FAIL_STATES):
        found.append(
            Finding(
                _latched(0), "fail-state-unknown", f"fail state {status.fls_state:#x} is not known", RESTART
            )
        )
    if not status.initialized:
        found.append(_FRESH)
    if status.time is None:
        found.append(_clock_unset(Level.FAULT if status.trusted_time else Level.WARNING))
    if status.format not in (None, "done"):
        found.append(
            Finding(
                Level.WARNING,
                "formatting",
                f"it is formatting its storage ({status.format})",
                "wait; hem status",
            )
        )
    if status.temperature is not None:
        found += _measured("temperature", status.temperature, "the device has {:g} °C", "give it air around")
    if status.humidity is not None:
        found += _measured(
            "humidity",
            status.humidity,
            "the air at the device has {:g} % humidity",
            "dry or moisten the air of the room; where water may have condensed, let it dry before use",
        )
    return found


def _latched(bit: int) -> Level:
    return THRESHOLDS[_ROWS.get(bit, "fail-state")].level(1)


_FRESH = Finding(Level.FAULT, "not-initialised", "the device is factory-fresh or was wiped", "hem init")


def _clock_unset(level: Level) -> Finding:
    taken = "no login is taken" if level is Level.FAULT else "logins by phone are not taken, others are"
    return Finding(
        level,
        "clock-unset",
        f"the device's clock is not set, as after each restart: {taken}",
        f"hem checkin, or: {REPAIR}",
        fix="check-in",
    )


def of_drift(seconds: float, since: float | None = None) -> list[Finding]:
    """How far the device's clock is ahead; ``since``: seconds since it was set, where that is known."""
    name = "clock-ahead" if seconds > 0 else "clock-behind"
    told = f"the device's clock is {duration(abs(seconds))} {'ahead' if seconds > 0 else 'behind'}"
    if since is not None and since >= 600 and seconds > 0:
        told += f", {seconds / since * 100:.1f} % since its last check-in: this device runs fast"
    level = THRESHOLDS["drift"].level(abs(seconds))
    if level is Level.OK:
        return []
    return [Finding(level, name, told, f"hem checkin, or: {REPAIR}", fix="check-in")]


def of_answer_time(seconds: float) -> list[Finding]:
    """How long one bare call took."""
    return _measured(
        "answer",
        seconds,
        "the device took {:.1f} s for a bare call",
        "if it stays so: hem device reboot; a spacing of 0.15 s may help (docs/configuration.md)",
        name="answers-slowly",
    )


def of_certificate(seen: Certificate, now: float) -> list[Finding]:
    """The certificate that a device presents; ``now``: Unix seconds of this machine."""
    found = []
    days = seen.days_left(now)
    if seen.trust is not Trust.GOOD:
        name, cause, advice, fix = TRUSTS[seen.trust]
        said = seen.reason and seen.trust is not Trust.EXPIRED
        reason = f" ({seen.reason})" if said else ""
        found.append(Finding(Level.FAULT, name, f"{cause}{reason}", advice, fix))
    if days is None:
        return found
    if days < 0:
        if all(each.name != "certificate-expired" for each in found):
            name, cause, advice, fix = TRUSTS[Trust.EXPIRED]
            level = Level.WARNING if seen.trust is Trust.GOOD else Level.FAULT  # pinned: dates do not count
            found.append(Finding(level, name, cause, advice, fix))
        return found
    told = f"the certificate ends in {left(days * 86_400)}"
    return found + _measured(
        "certificate", days, told, f"{REPAIR} renews it", name="certificate-ends-soon", fix="renew"
    )


def of_version(version: Version) -> list[Finding]:
    """Builds and releases that are known to be faulty."""
    found = []
    if version.diagnostic:
        found.append(
            Finding(
                Level.FAULT,
                "firmware-diagnostic",
                f"{version.firmware} is a diagnostic build: anybody may read and erase it",
                "no real key is to be on it: hem device upgrade FILE",
            )
        )
    release = release_of(version.firmware)
    for last, level, name, cause, advice in KNOWN_DEFECTS:
        if release and release <= last:
            found.append(Finding(level, name, cause, advice))
    return found


def release_of(text: str) -> tuple[int, ...]:
    """The numbers of a version; none where it has no such form.

    >>> release_of("Encedo nGINE FW v1.2.2-DIAG")
    (1, 2, 2)
    """
    found = re.search(r"(\d+(?:\.\d+)+)", text)
    return tuple(map(int, found[1].split("."))) if found else ()


def of_selftest(test: SelfTest) -> list[Finding]:
    """What a self-test found."""
    found = [
        Finding(_latched(bit), name, "the self-test failed", advice)
        for bit, (name, advice) in FAIL_STATES.items()
        if test.fls_state & bit
    ]
    if test.secure_element:
        told = f"the secure element is in state {test.secure_element}"
        found.append(Finding(THRESHOLDS["self-test"].level(1), "secure-element-failed", told, RESTART))
    stats = test.repository
    if stats is not None:
        found += _measured(
            "damaged-records",
            stats.invalid,
            "{:.0f} records of the key repository are damaged",
            "look for keys that are missing: hem keys list",
            name="repository-damaged",
        )
        found += _measured(
            "free-slots",
            stats.free,
            "{:.0f} slots are left for keys",
            "delete keys that are not needed: hem keys delete; a restart frees their slots",
            name="repository-nearly-full" if stats.free else "repository-full",
        )
    return found


def of_log(file: str, problems: Iterable[str], numbers: Sequence[int]) -> list[Finding]:
    """What verifying a file of the log found; ``numbers``: of its records, in order."""
    advice = f"hem log verify {file}"
    found = [Finding(Level.FAULT, "log-altered", f"log {file}: {each}", advice) for each in problems]
    told = f"log {file}: in {{:.0f}} places records are missing"
    return found + _measured("log-gap", gaps(numbers), told, advice, name="log-gap")


def gaps(numbers: Sequence[int]) -> int:
    """In how many places records lack among those with these numbers. The first has number 0 or 1.

    >>> gaps([1, 2, 5])
    1
    """
    return sum(after > before + 1 for before, after in zip((0, *numbers), numbers, strict=False))


def of_log_event(name: str, times: int, told: str, advice: str) -> list[Finding]:
    """What a collector of the log noticed so many ``times``: ``name`` of its own events, and in words."""
    level = THRESHOLDS["log-event"].level(times)
    return [] if level is Level.OK else [Finding(level, name, told, advice)]


def of_log_age(days: float) -> list[Finding]:
    """How long ago the copy of the log was brought up to date."""
    level = THRESHOLDS["log-age"].level(days)
    if level is Level.OK:
        return []
    told = f"the copy of the log was brought up to date {days:.0f} days ago"
    return [Finding(level, "log-not-collected", told, "hem log collect")]


def of_attestation(attestation: Attestation) -> list[Finding]:
    """What the secure element has to show."""
    if attestation.certificate is not None:
        return []
    return [
        Finding(
            Level.WARNING,
            "unprovisioned",
            "the secure element has no certificate yet: the device cannot prove that it is genuine",
            "ask the vendor",
        )
    ]


def of_error(error: HemError, *, level: Level = Level.FAULT) -> Finding:
    """An error of a call, by name."""
    if isinstance(error, ConnectionLostError):
        return Finding(
            level,
            LOST[error.begun],
            str(error),
            f"look at cable, hub and network, and what stands between; if it stays so, {REPLUG}",
        )
    if isinstance(error, HemDeviceFault) and error.status == 409:
        return Finding(level, "device-busy", str(error), "hem status tells why")
    name, advice = next((name, advice) for kind, name, advice in ERRORS if isinstance(error, kind))
    if isinstance(error, MisshapenError):
        name = error.name
        advice = MISSHAPEN.get(name, advice)
    return Finding(level, name, str(error), advice, fix="check-in" if name == "clock-unset" else "")


def _measured(
    threshold: str, value: float, told: str, advice: str, *, name: str = "", fix: str = ""
) -> list[Finding]:
    level = THRESHOLDS[threshold].level(value)
    if level is Level.OK:
        return []
    return [Finding(level, name or f"{threshold}-out-of-range", told.format(value), advice, fix)]


#: Seconds → unit that a duration is told in, the largest that fits twice.
_UNITS = ((86_400, "days"), (3_600, "hours"), (60, "minutes"))


def left(seconds: float) -> str:
    """What is left of a time, or over since, in whole units that are full.

    >>> left(29.9 * 86_400)
    '29 days'
    """
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def duration(seconds: float) -> str:
    """In words.

    >>> duration(380)
    '6 minutes'
    """
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
