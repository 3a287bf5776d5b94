"""Every metric of ``hem exporter``: its name, kind and labels, what it is, and what tells it.

Names follow the conventions of Prometheus: base units, ``_total`` of what only grows,
``_timestamp_seconds`` of moments (Unix seconds). A name never changes its meaning.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from hem_provider.records import frozen

__all__ = ["ALL", "METRICS", "Kind", "Metric", "Sample", "Source"]


class Kind(enum.StrEnum):
    """As Prometheus has them."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


class Source(enum.StrEnum):
    """What tells a metric, and what that costs the device."""

    EXPORTER = "nothing"
    MACHINE = "nothing: this machine knows it"
    AGENT = "nothing: the agent, and the exporter of its own calls"
    STATUS = "1 call a collection"
    VERSION = "1 call after each start of the device"
    CERTIFICATE = "a connection an hour"
    KEYS = "1 call for 15 keys an hour and 1 for each 14 more, with a login"
    SELF_TEST = "1 call a day, with a login"
    COPY = "nothing; told where a copy is kept (`hem log collect`)"
    LOG = "nothing where a copy is kept (`hem log collect`), else 3 calls a day, with a login for the log"


@frozen
class Metric:
    """``labels``: their names; each is of one device where ``device`` is among them."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    source: Source
    help: str


@frozen
class Sample:
    """A value of a metric; ``labels``: the values of its labels, in order. ``buckets``: of a histogram the
    counts up to each bound, of which ``value`` is the sum of what was measured."""

    name: str
    labels: tuple[str, ...]
    value: float
    buckets: tuple[tuple[str, int], ...] = ()


_DEVICE = ("device",)

ALL = (
    Metric("hem_build_info", Kind.GAUGE, ("version", "python"), Source.EXPORTER, "1; what tells this."),
    Metric(
        "hem_up", Kind.GAUGE, _DEVICE, Source.STATUS,
        "Whether the device answered as a HEM does when it was asked last; while it is 0, nothing else is "
        "told of what is in it.",
    ),
    Metric(
        "hem_collection_timestamp_seconds", Kind.GAUGE, _DEVICE, Source.EXPORTER,
        "When what is told of the device was asked for.",
    ),
    Metric(
        "hem_collection_duration_seconds", Kind.GAUGE, _DEVICE, Source.EXPORTER,
        "How long that took.",
    ),
    Metric(
        "hem_finding", Kind.GAUGE, ("device", "name", "level"), Source.STATUS,
        "1 for each thing that is not well with the device or the copy of its log, by the name that hem "
        "status and hem doctor have for it.",
    ),
    Metric(
        "hem_login_available", Kind.GAUGE, _DEVICE, Source.MACHINE,
        "Whether there is a login that asks nobody: a passphrase file or command, or an agent that is "
        "unlocked; 0 as well for an hour after the device refused it.",
    ),
    Metric(
        "hem_device_info", Kind.GAUGE, ("device", "model", "hardware", "firmware"), Source.VERSION,
        "1; what the device is.",
    ),
    Metric("hem_initialized", Kind.GAUGE, _DEVICE, Source.STATUS, "Whether the device has an owner."),
    Metric("hem_uptime_seconds", Kind.GAUGE, _DEVICE, Source.STATUS, "Since the device started."),
    Metric(
        "hem_status_duration_seconds", Kind.GAUGE, _DEVICE, Source.STATUS,
        "How long the device took for a bare call.",
    ),
    Metric("hem_clock_set", Kind.GAUGE, _DEVICE, Source.STATUS, "Whether the device's clock is set."),
    Metric(
        "hem_clock_drift_seconds", Kind.GAUGE, _DEVICE, Source.STATUS,
        "How far the device's clock is ahead of this machine's; negative when it is behind.",
    ),
    Metric("hem_temperature_celsius", Kind.GAUGE, _DEVICE, Source.STATUS, "Temperature of the device."),
    Metric(
        "hem_humidity_ratio", Kind.GAUGE, _DEVICE, Source.STATUS,
        "Relative humidity of the air, from 0 to 1; only of devices that tell it.",
    ),
    Metric(
        "hem_fail_state", Kind.GAUGE, ("device", "state"), Source.STATUS,
        "Whether a bit of the fail state latch is set, by the name of its finding.",
    ),
    Metric(
        "hem_disk_size_bytes", Kind.GAUGE, ("device", "disk", "mode"), Source.STATUS,
        "Size of a disk of the device, and whether it is shown as rw, ro or not at all (hidden).",
    ),
    Metric(
        "hem_certificate_expiry_timestamp_seconds", Kind.GAUGE, _DEVICE, Source.CERTIFICATE,
        "When the device's TLS certificate ends.",
    ),
    Metric(
        "hem_certificate_trusted", Kind.GAUGE, _DEVICE, Source.CERTIFICATE,
        "Whether the certificate is accepted here.",
    ),
    Metric("hem_keys", Kind.GAUGE, ("device", "type"), Source.KEYS, "Keys on the device, by type."),
    Metric(
        "hem_key_info", Kind.GAUGE, ("device", "kid", "type", "label"), Source.KEYS,
        "1 for each key; only with --labels.",
    ),
    Metric(
        "hem_key_slots", Kind.GAUGE, ("device", "state"), Source.SELF_TEST,
        "Slots for keys that are used, deleted, damaged or free.",
    ),
    Metric(
        "hem_selftest_failures", Kind.GAUGE, _DEVICE, Source.SELF_TEST,
        "Tests that failed in the self-test that the exporter had the device make last.",
    ),
    Metric(
        "hem_selftest_timestamp_seconds", Kind.GAUGE, _DEVICE, Source.SELF_TEST,
        "When that was, by this machine's clock.",
    ),
    Metric(
        "hem_last_check_in_timestamp_seconds", Kind.GAUGE, _DEVICE, Source.MACHINE,
        "When this machine had the device check in last.",
    ),
    Metric(
        "hem_log_verified_until_timestamp_seconds", Kind.GAUGE, _DEVICE, Source.LOG,
        "Time, by the device's clock, of the last record of the copy of its log, where all of it is genuine; "
        "where no copy is kept, of the newest finished file.",
    ),
    Metric(
        "hem_log_gaps", Kind.GAUGE, _DEVICE, Source.LOG,
        "Places in that copy or file where records are missing; not told of a copy that cannot be read.",
    ),
    Metric(
        "hem_log_problems", Kind.GAUGE, _DEVICE, Source.LOG,
        "What is wrong with it: lines that were changed, moved or taken away, or a copy that cannot be read.",
    ),
    Metric(
        "hem_log_events", Kind.GAUGE, ("device", "event"), Source.COPY,
        "How often the copy tells of each event that collecting it has noticed and that is not ordinary.",
    ),
    Metric(
        "hem_log_collected_timestamp_seconds", Kind.GAUGE, _DEVICE, Source.COPY,
        "When the copy was last brought up to date, by this machine's clock, even if nothing was new.",
    ),
    Metric("hem_agent_up", Kind.GAUGE, (), Source.AGENT, "Whether this user's agent runs."),
    Metric(
        "hem_agent_unlocked", Kind.GAUGE, _DEVICE, Source.AGENT,
        "Whether the agent has a login for the device.",
    ),
    Metric(
        "hem_agent_waiting_requests", Kind.GAUGE, _DEVICE, Source.AGENT,
        "Requests of programs that wait in the agent for their turn.",
    ),
    Metric(
        "hem_call_duration_seconds", Kind.HISTOGRAM, ("device", "by", "method", "endpoint"), Source.AGENT,
        "How long the device took to answer, by endpoint; asked by the agent for all programs, or by the "
        "exporter itself.",
    ),
    Metric(
        "hem_logins_total", Kind.COUNTER, ("device", "by"), Source.AGENT,
        "Proofs of a passphrase that were sent to the device, accepted or not.",
    ),
    Metric(
        "hem_failures_total", Kind.COUNTER, ("device", "by", "kind"), Source.AGENT,
        "Requests that got no answer, or one with a status from 400 on, by kind.",
    ),
)  # fmt: skip
#: By name, in the order in which they are told.
METRICS: Mapping[str, Metric] = {each.name: each for each in ALL}
