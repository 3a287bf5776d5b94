"""What is asked of one device, and how often: a status for each collection, the rest when it is due.

A device is asked for nothing that changes it, and no person for a login: where one would have to approve it,
what needs a login is left out. A login that the device refuses is not tried again for an hour; one that it
takes is forgotten as soon as what it was for is there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from hem_provider.config import DeviceConfig
from hem_provider.config.login_source import LoginSource, login_source
from hem_provider.device import contact, health
from hem_provider.device.cache import DiskCache
from hem_provider.device.contact import Certificate, Glance
from hem_provider.device.health import Finding, of_error
from hem_provider.device.hem import Hem, Version
from hem_provider.device.tally import watching
from hem_provider.errors import (
    HemAuthenticationError,
    HemConfigError,
    HemError,
    HemLoginRequired,
    HemRequestRefused,
    HemTLSError,
)
from hem_provider.exporter.logcopy import LogSeen, look_at_copy
from hem_provider.records import field, frozen, mutable

__all__ = ["DAY", "HOUR", "SELF_TEST", "Collector", "KeySeen", "Reading", "Tested"]

T = TypeVar("T")

#: Seconds between two looks at what changes seldom: certificate and keys; and until a refused login is tried
#: again.
HOUR = 3600.0
#: Seconds between two looks at the log, and between two self-tests, each of which keeps the device busy for
#: 5 s.
DAY = SELF_TEST = 86_400.0
#: Times of what it takes, between two.
_SELDOM = 100


@frozen
class KeySeen:
    """A key as it was listed."""

    kid: str
    type: str
    label: str


@frozen
class Tested:
    """What a self-test found; ``when``: Unix seconds. ``slots``: state → how many, where the device tells."""

    when: float
    failures: int
    slots: dict[str, int]
    findings: tuple[Finding, ...]


@mutable
class Reading:
    """One collection. ``when``: Unix seconds; ``seconds``: how long it took; ``None`` what is not known.
    ``up``: the device answered as a HEM does."""

    when: float
    seconds: float = 0.0
    up: bool = False
    login: bool = False
    glance: Glance | None = None
    version: Version | None = None
    certificate: Certificate | None = None
    keys: tuple[KeySeen, ...] | None = None
    tested: Tested | None = None
    log: LogSeen | None = None
    checked_in: float | None = None
    findings: list[Finding] = field(default_factory=list)


class _Piece(Generic[T]):
    """What is asked for ``every`` so many seconds, 0 for never, and kept in between; where it is not told,
    ``again`` after so many. What takes long is asked for so seldom that it takes a hundredth of the time."""

    def __init__(self, every: float, again: float = 0.0) -> None:
        self._every = every
        self._again = min(every, again)
        self._due = 0.0
        self.value: T | None = None

    def forget(self) -> None:
        """It may be another by now."""
        self._due, self.value = 0.0, None

    def renew(self, now: float, ask: Callable[[], T]) -> None:
        """Ask where it is due. Raises what ``ask`` does."""
        if self._every and now >= self._due:
            self.value, self._due, began = None, now + self._again, time.monotonic()
            self.value = ask()
            self._due = now + max(self._every, _SELDOM * (time.monotonic() - began))


class Collector:
    """Of one device; ``collect`` is called by one thread at a time. ``agent``: in which state the user's
    agent is for this device, if one runs. ``self_test``: seconds between two, 0 for none."""

    def __init__(
        self,
        config: DeviceConfig,
        *,
        agent: Callable[[], str | None] = lambda: None,
        self_test: float = SELF_TEST,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.hem = Hem(config)
        self.tally = watching(self.hem)
        self._agent = agent
        self._now = now
        self._certificate: _Piece[Certificate] = _Piece(HOUR)
        self._version: _Piece[Version] = _Piece(float("inf"))
        self._keys: _Piece[tuple[KeySeen, ...]] = _Piece(HOUR, HOUR)
        self._tested: _Piece[Tested] = _Piece(self_test, HOUR)
        self._log: _Piece[LogSeen | None] = _Piece(DAY, HOUR)
        self._copy: _Piece[LogSeen | None] = _Piece(HOUR)
        self._uptime = 0
        self._refused_until = 0.0

    def collect(self) -> Reading:
        """Ask what is due. What cannot be had leaves the rest as it is."""
        began = time.monotonic()
        reading = Reading(time.time(), checked_in=DiskCache(self.config.url).checked_in())
        reading.login = self._has_login()
        self._copy.renew(self._now(), lambda: look_at_copy(self.config.name))
        reading.log = self._copy.value
        try:
            reading.glance = contact.glance(self.hem)
        except HemError as error:
            self._away(reading, error)
        else:
            self._found(reading, reading.glance)
        reading.seconds = time.monotonic() - began
        return reading

    def _away(self, reading: Reading, error: HemError) -> None:
        for piece in (self._certificate, self._version, self._keys, self._tested, self._log):
            piece.forget()  # it may come back as another
        if isinstance(error, HemTLSError):  # whose certificate tells why
            self._look_at_certificate(reading)
        if not reading.findings:
            reading.findings.append(of_error(error))

    def _found(self, reading: Reading, glance: Glance) -> None:
        status = glance.status
        reading.up = True
        if status.uptime < self._uptime or not status.initialized:  # it has restarted, or was wiped
            for piece in (self._version, self._keys, self._tested, self._log):
                piece.forget()
        self._uptime = status.uptime
        reading.findings += health.of_status(status)
        reading.findings += health.of_answer_time(glance.seconds)
        if glance.drift is not None:
            reading.findings += health.of_drift(glance.drift)
        self._look_at_certificate(reading)
        self._ask(self._version, self.hem.version)
        reading.version = self._version.value
        if reading.version is not None:
            reading.findings += health.of_version(reading.version)
        if status.initialized and status.time is not None and not status.fls_state:
            self._look_inside(reading)
        reading.keys, reading.tested = self._keys.value, self._tested.value
        reading.log = reading.log or self._log.value
        for told in (reading.tested, reading.log):
            reading.findings += () if told is None else told.findings

    def _look_at_certificate(self, reading: Reading) -> None:
        if not self.config.url.startswith("https:"):
            return
        self._ask(self._certificate, lambda: contact.certificate(self.config))
        reading.certificate = self._certificate.value
        if reading.certificate is not None:
            reading.findings += health.of_certificate(reading.certificate, time.time())

    def _look_inside(self, reading: Reading) -> None:
        """What needs a login. Where there is none after all it is looked for at the next collection; a
        refusal of the device ends it for an hour."""
        pieces: tuple[tuple[_Piece[Any], Callable[[], Any]], ...] = (
            (self._keys, self._list),
            (self._tested, self._test),
            *(((self._log, self._verify),) if reading.log is None else ()),
        )
        for piece, ask in pieces:
            error = self._ask(piece, ask) if reading.login else None
            if isinstance(error, HemAuthenticationError | HemConfigError):
                reading.login = False
                reading.findings.append(of_error(error))
                if isinstance(error, HemLoginRequired | HemConfigError):
                    piece.forget()
                else:
                    self._refused_until = self._now() + HOUR
        if self.hem.logged_in:
            self.hem.logout()

    def _ask(self, piece: _Piece[T], ask: Callable[[], T]) -> HemError | None:
        try:
            piece.renew(self._now(), ask)
        except HemError as error:
            return error
        return None

    def _has_login(self) -> bool:
        """Whether there is a login that asks nobody. No I/O but what ``agent`` does."""
        if self._now() < self._refused_until:
            return False
        source = login_source(self.config)
        if source is LoginSource.PHONE:
            return False
        if source in (LoginSource.FILE, LoginSource.COMMAND):
            return True
        return self.config.agent != "never" and self._agent() == "unlocked"

    def _list(self) -> tuple[KeySeen, ...]:
        self.hem.keys.refresh()
        return tuple(KeySeen(each.kid, each.type.name, each.label) for each in self.hem.keys)

    def _verify(self) -> LogSeen | None:
        """The newest file that is finished, as it is on the device."""
        audit = self.hem.audit
        try:
            files = audit.files()
        except HemRequestRefused:
            return None  # this model keeps none
        if len(files) < 2:
            return None  # the first is being written
        report = audit.verify(files[-2])
        numbers = [each.number for each in report.records]
        findings = health.of_log(files[-2], report.problems, numbers)
        until = report.records[-1].time if report.records and not report.problems else None
        return LogSeen(until, health.gaps(numbers), len(report.problems), tuple(findings))

    def _test(self) -> Tested:
        test = self.hem.admin.selftest()
        stats = test.repository
        used = {} if stats is None else {"used": stats.total, "deleted": stats.deleted}
        left = {} if stats is None else {"damaged": stats.invalid, "free": stats.free}
        failures = test.fls_state.bit_count() + bool(test.secure_element)
        return Tested(time.time(), failures, used | left, tuple(health.of_selftest(test)))
