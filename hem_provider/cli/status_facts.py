"""What ``hem status`` gathers, piece by piece: what one call cannot tell leaves the others as they are."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from hem_provider.cli import machine
from hem_provider.config import DeviceConfig
from hem_provider.device import contact, health
from hem_provider.device.contact import Certificate, Glance
from hem_provider.device.health import ANSWERED, Finding, of_error
from hem_provider.device.hem import Hem, Identity, Version
from hem_provider.errors import HemClockError, HemError, HemNotInitialized, HemRequestRefused
from hem_provider.records import field, frozen, mutable

__all__ = ["Facts", "Inside", "gather", "look_inside"]

T = TypeVar("T")


@mutable
class Facts:
    """Of one device and this machine; ``None`` where it is not known. ``away``: why the device was not
    reached, or what it answered in the place of a status."""

    config: DeviceConfig
    machine: machine.Machine
    emulator: bool = False
    address: tuple[str, ...] = ()
    certificate: Certificate | None = None
    glance: Glance | None = None
    version: Version | None = None
    identity: Identity | None = None
    away: HemError | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def reached(self) -> bool:
        """Whether it answers, be it wrongly."""
        return self.away is None or of_error(self.away).name in ANSWERED


@frozen
class Inside:
    """What a login tells. ``keys``: type → how many; ``log_files``: ``None`` where none are kept."""

    configuration: Any
    keys: dict[str, int]
    log_files: int | None


def gather(hem: Hem) -> Facts:
    """Three calls at most, and a look at the certificate; and what this machine has."""
    facts = Facts(hem.config, machine.look(hem.config))
    _ask(hem, facts)
    facts.emulator = hem.is_emulator
    return facts


def _ask(hem: Hem, facts: Facts) -> None:
    if hem.config.url.startswith("https:"):
        try:
            facts.address = contact.addresses(hem.config)
            facts.certificate = contact.certificate(hem.config)
            facts.findings += health.of_certificate(facts.certificate, time.time())
        except HemError:
            pass  # the status tells why
    try:
        facts.glance = contact.glance(hem)
    except HemError as error:
        facts.away = error
        if not facts.findings or facts.reached:
            facts.findings.append(of_error(error))
        return
    facts.findings += health.of_status(facts.glance.status)
    facts.findings += health.of_answer_time(facts.glance.seconds)
    if facts.glance.drift is not None:
        facts.findings += health.of_drift(facts.glance.drift)
    facts.version = _piece(facts, hem.version)
    if facts.version is not None:
        facts.findings += health.of_version(facts.version)
    if facts.glance.status.initialized:
        facts.identity = _piece(facts, hem.probe)


def _piece(facts: Facts, ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except (HemNotInitialized, HemClockError):
        return None  # the status has told
    except HemError as error:
        facts.findings.append(of_error(error))
        return None


def look_inside(hem: Hem) -> Inside:
    """What only a login tells: three logins at most. Raises what the calls raise."""
    configuration = hem.admin.configuration()
    keys = Counter(each.type.name for each in hem.keys)
    try:
        files: int | None = len(hem.audit.files())
    except HemRequestRefused:
        files = None
    return Inside(configuration, dict(sorted(keys.items())), files)
