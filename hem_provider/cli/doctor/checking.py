"""What a check is, and how all are run in order: what depends on one that failed is not tried."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hem_provider.cli.shape import Given
from hem_provider.config import DeviceConfig
from hem_provider.device.contact import Glance
from hem_provider.device.health import Finding, Level, of_error
from hem_provider.device.hem import Hem
from hem_provider.errors import HemConfigError, HemError
from hem_provider.records import field, frozen, replace

__all__ = ["Check", "Outcome", "Patient", "Result", "State", "run_all"]


class State(enum.StrEnum):
    """How a check ended; ``NOT_USED``: what it is about is not there, and need not be."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"
    NOT_TRIED = "not-tried"
    NOT_USED = "not-used"


_STATES = {Level.OK: State.OK, Level.WARNING: State.WARNING, Level.FAULT: State.FAULT}


@frozen
class Result:
    """What a check tells. ``told``: in a line; ``usable``: whether what depends on it may be tried, ``None``:
    where it found no fault; ``state``: in the place of that of the worst finding."""

    told: str
    findings: tuple[Finding, ...] = ()
    usable: bool | None = None
    state: State | None = None


class Patient:
    """One device, or none, and what the checks so far know of it."""

    def __init__(self, options: Given) -> None:
        self.options = options
        self.config: DeviceConfig | None = None
        self.glance: Glance | None = None
        self.host: str = ""  #: the addresses, in words
        self.offers_certificate = False  #: whether the cloud has a new one
        #: Files that others may write or read → the mode that they should have.
        self.loose: dict[Path, int] = {}
        self._hem: Hem | None = None

    @property
    def device(self) -> DeviceConfig:
        """Its settings; ``HemConfigError`` where there are none."""
        if self.config is None:
            raise HemConfigError("no device is configured")
        return self.config

    @property
    def is_behind_agent(self) -> bool:
        """Whether an agent is the only way to it."""
        return self.device.url.startswith("unix:")

    @property
    def hem(self) -> Hem:
        """The device by its own way, past any agent."""
        if self._hem is None:
            config = replace(self.device, agent="never")
            if self.options.mobile:
                config = replace(config, auth="mobile")
            self._hem = Hem(config)
        return self._hem

    @property
    def costs(self) -> tuple[int, int]:
        """Calls and logins so far."""
        if self._hem is None:
            return 0, 0
        counts = self._hem.statistics
        return counts.calls, counts.logins

    def close(self) -> None:
        """Forget login and connections."""
        if self._hem is not None:
            self._hem.logout()
            self._hem.close()


@frozen
class Check:
    """``needs``: checks without which it cannot be made. ``reaching``: it fails where the device is not
    reached."""

    name: str
    run: Callable[[Patient], Result]
    needs: tuple[str, ...] = ()
    reaching: bool = False


@frozen
class Outcome:
    """How a check ended; ``usable``: whether what depends on it was tried."""

    check: Check
    state: State
    told: str
    findings: tuple[Finding, ...] = field(default=())
    usable: bool = True

    def document(self) -> dict[str, Any]:
        """As the schema says."""
        findings = [
            {"level": str(each.level), "name": each.name, "cause": each.cause, "advice": each.advice}
            for each in self.findings
        ]
        return {"check": self.check.name, "state": str(self.state), "told": self.told, "findings": findings}


def run_all(
    checks: Iterable[Check], patient: Patient, begun: Callable[[Check], None] = lambda _: None
) -> Iterator[Outcome]:
    """Every check as it is done; ``begun`` is told of each before."""
    done: dict[str, Outcome] = {}
    for check in checks:
        begun(check)
        done[check.name] = _missing(check, done) or _run(check, patient)
        yield done[check.name]


def _missing(check: Check, done: Mapping[str, Outcome]) -> Outcome | None:
    """That it is not tried, since what it needs is not there."""
    for name in check.needs:
        needed = done[name]
        if not needed.usable:
            told = needed.told if needed.state is State.NOT_TRIED else f"{name} failed"
            return Outcome(check, State.NOT_TRIED, told.removeprefix("not tried: "), usable=False)
    return None


def _run(check: Check, patient: Patient) -> Outcome:
    try:
        result = check.run(patient)
    except HemError as error:
        finding = of_error(error)
        return Outcome(check, State.FAULT, finding.cause, (finding,), usable=False)
    worst = max((_STATES[each.level] for each in result.findings), key=list(State).index, default=State.OK)
    state = result.state or worst
    usable = state not in (State.FAULT, State.NOT_TRIED) if result.usable is None else result.usable
    return Outcome(check, state, result.told, result.findings, usable)
