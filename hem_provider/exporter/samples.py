"""What was found, as values of the metrics of ``metrics``. Pure: nothing is asked here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from hem_provider.device.findings import FAIL_STATES
from hem_provider.device.tally import BUCKETS, KINDS
from hem_provider.exporter.collecting import Reading
from hem_provider.exporter.metrics import Sample
from hem_provider.printable import printable

__all__ = ["AGENT", "EXPORTER", "of_agent", "of_reading", "of_traffic"]

#: Values of ``by``: who asked the device.
AGENT, EXPORTER = "agent", "exporter"
_SECTOR = 512
_UNKNOWN = "fail-state-unknown"
#: Bounds as Prometheus writes them.
_BOUNDS = (*(f"{each:g}" if each % 1 else f"{each:.1f}" for each in BUCKETS), "+Inf")


def of_reading(device: str, reading: Reading, *, labels: bool) -> Iterator[Sample]:
    """``labels``: whether keys are told of one by one."""
    yield Sample("hem_up", (device,), reading.up)
    yield Sample("hem_collection_timestamp_seconds", (device,), reading.when)
    yield Sample("hem_collection_duration_seconds", (device,), reading.seconds)
    yield Sample("hem_login_available", (device,), reading.login)
    for name, level in {each.name: str(each.level) for each in reading.findings}.items():
        yield Sample("hem_finding", (device, name, level), 1)
    if reading.checked_in is not None:
        yield Sample("hem_last_check_in_timestamp_seconds", (device,), reading.checked_in)
    yield from _of_status(device, reading)
    yield from _of_certificate(device, reading)
    yield from _of_keys(device, reading, labels=labels)
    yield from _of_selftest(device, reading)
    yield from _of_log(device, reading)


def _of_status(device: str, reading: Reading) -> Iterator[Sample]:
    version = reading.version
    if version is not None:
        told = (version.model, printable(version.hardware), printable(version.firmware))
        yield Sample("hem_device_info", (device, *told), 1)
    if reading.glance is None:
        return
    status, drift = reading.glance.status, reading.glance.drift
    yield Sample("hem_initialized", (device,), status.initialized)
    yield Sample("hem_uptime_seconds", (device,), status.uptime)
    yield Sample("hem_status_duration_seconds", (device,), reading.glance.seconds)
    yield Sample("hem_clock_set", (device,), status.time is not None)
    if drift is not None:
        yield Sample("hem_clock_drift_seconds", (device,), drift)
    if status.temperature is not None:
        yield Sample("hem_temperature_celsius", (device,), status.temperature)
    if status.humidity is not None:
        yield Sample("hem_humidity_ratio", (device,), round(status.humidity / 100, 6))
    for bit, (name, _) in FAIL_STATES.items():
        yield Sample("hem_fail_state", (device, name), bool(status.fls_state & bit))
    yield Sample("hem_fail_state", (device, _UNKNOWN), bool(status.fls_state & ~sum(FAIL_STATES)))
    for number, text in enumerate(status.storage):
        sectors, _, mode = text.partition(":")
        shown = {"-": "hidden"}.get(mode, mode)
        yield Sample("hem_disk_size_bytes", (device, str(number), shown), int(sectors) * _SECTOR)


def _of_certificate(device: str, reading: Reading) -> Iterator[Sample]:
    seen = reading.certificate
    if seen is None:
        return
    yield Sample("hem_certificate_trusted", (device,), seen.trust == "good")
    if seen.not_after is not None:
        yield Sample("hem_certificate_expiry_timestamp_seconds", (device,), seen.not_after)


def _of_keys(device: str, reading: Reading, *, labels: bool) -> Iterator[Sample]:
    if reading.keys is None:
        return
    for kind, count in sorted(Counter(each.type for each in reading.keys).items()):
        yield Sample("hem_keys", (device, kind), count)
    for each in reading.keys if labels else ():
        yield Sample("hem_key_info", (device, each.kid, each.type, printable(each.label)), 1)


def _of_selftest(device: str, reading: Reading) -> Iterator[Sample]:
    tested = reading.tested
    if tested is None:
        return
    yield Sample("hem_selftest_timestamp_seconds", (device,), tested.when)
    yield Sample("hem_selftest_failures", (device,), tested.failures)
    for state, count in tested.slots.items():
        yield Sample("hem_key_slots", (device, state), count)


def _of_log(device: str, reading: Reading) -> Iterator[Sample]:
    log = reading.log
    if log is None:
        return
    if log.until is not None:
        yield Sample("hem_log_verified_until_timestamp_seconds", (device,), log.until)
    if log.gaps is not None:
        yield Sample("hem_log_gaps", (device,), log.gaps)
    yield Sample("hem_log_problems", (device,), log.problems)
    for name, times in sorted(log.events.items()):
        yield Sample("hem_log_events", (device, name), times)
    if log.collected is not None:
        yield Sample("hem_log_collected_timestamp_seconds", (device,), log.collected)


def of_agent(device: str, told: Mapping[str, Any]) -> Iterator[Sample]:
    """What an agent says of one device; an older one does not say all."""
    yield Sample("hem_agent_unlocked", (device,), told.get("state") == "unlocked")
    yield Sample("hem_agent_waiting_requests", (device,), told.get("waiting", 0))
    if "endpoints" in told:
        yield from of_traffic(device, AGENT, told, told.get("logins", 0))


def of_traffic(device: str, by: str, told: Mapping[str, Any], logins: int) -> Iterator[Sample]:
    """Of a ``Tally.document``."""
    yield Sample("hem_logins_total", (device, by), logins)
    for kind in KINDS:  # all from the start: nobody can tell how much what was not there has grown
        yield Sample("hem_failures_total", (device, by, kind), told["failures"].get(kind, 0))
    for each in told["endpoints"]:
        counts = each["buckets"]
        if len(counts) == len(_BOUNDS):  # else of another version
            upto = [sum(counts[: place + 1]) for place in range(len(counts))]
            place = (device, by, each["method"], each["endpoint"])
            buckets = tuple(zip(_BOUNDS, upto, strict=True))
            yield Sample("hem_call_duration_seconds", place, each["seconds"], buckets)
