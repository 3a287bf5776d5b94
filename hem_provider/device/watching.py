"""Watching a device after it was told to restart, to erase itself or to install something, where its
answer did not tell (device API §6, §7.4, §15, §16, §17.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal

from hem_provider.device.login import LoginSession
from hem_provider.errors import (
    HemClockError,
    HemConnectionError,
    HemDeviceFault,
    HemOperationFailed,
    HemTimeout,
)
from hem_provider.rest import auth, system
from hem_provider.rest.settle import NOT_MADE, NotMade
from hem_provider.rest.system import Status
from hem_provider.waiting import Clock

__all__ = ["BACK", "Looked", "Watch"]

#: Longest restart of a device, in seconds.
BACK: Final = 90.0
#: A device acts about 2 s after its answer; what it has not begun by then it will not do. Seconds.
_BEGINS: Final = 6.0
_PAUSE: Final = 1.0
#: A device's clock is no better than this many seconds, and runs up to 8 % fast.
_SLACK: Final = 3.0

Seen = Literal[True, NotMade.NOT_MADE]
#: Called at each look with the seconds since the request, for people who wait.
Looked = Callable[[float], None]


class Watch:
    """To be made before the request. ``clock`` is the caller's, who may replace it; ``looked`` is called at
    each look."""

    def __init__(self, session: LoginSession, clock: Clock, looked: Looked | None = None) -> None:
        self._session = session
        self._clock = clock
        self._looked = looked
        self._boot = None if session.challenge is None else session.challenge.spk
        self._began = clock.now()

    def restarted(self) -> Seen:
        """Whether it has started since; waits until it answers. ``HemTimeout`` when it does not."""
        return NOT_MADE if self._restart(BACK) is None else True

    def back(self, seconds: float) -> Status:
        """Its status once it has restarted; ``HemTimeout`` when it is not back within ``seconds``,
        ``HemOperationFailed`` when it goes on as before."""
        status = self._restart(seconds)
        if status is None:
            raise HemOperationFailed(f"{self._name}: it has not restarted within {self._elapsed:.0f} s")
        return status

    def _restart(self, seconds: float) -> Status | None:
        for status in self._looks(seconds):
            if status is None:
                continue
            if self._another_boot(status):
                return status
            if self._elapsed >= _BEGINS:
                return None
        raise self._away()

    def upgraded(self) -> Seen:
        """Whether it runs a firmware that was just installed; waits until it answers. ``HemDeviceFault``
        when it has restarted and does not say with what."""
        for status in self._looks(BACK):
            if status is not None and status.upgraded:
                return True
            if status is not None and self._elapsed >= _BEGINS:
                if not self._another_boot(status):
                    return NOT_MADE
                raise HemDeviceFault(f"{self._name}: it has restarted, and does not say with what firmware")
        raise self._away()

    def wiped(self, seconds: float = BACK) -> Seen:
        """Whether it is factory-fresh; waits until it answers. ``HemTimeout`` when it does not."""
        for status in self._looks(seconds):
            if status is not None and not status.initialized:
                return True
            if status is not None and self._elapsed >= _BEGINS:
                return NOT_MADE
        raise self._away()

    def stopped(self) -> Seen:
        """``NOT_MADE`` when it still answers, else ``HemTimeout``: nobody can tell a device that is off
        from a broken line."""
        for status in self._looks(_BEGINS):
            if status is not None and self._elapsed >= _BEGINS:
                return NOT_MADE
        raise HemTimeout(f"{self._name}: it no longer answers")

    def shows(self, disk: int, mode: str) -> Seen:
        """Whether a disk is shown as ``rw``, ``ro`` or ``-`` (not at all)."""
        answered = False
        for status in self._looks(_BEGINS):
            answered = answered or status is not None
            if status is not None and any(f.endswith(f":{mode}") for f in status.storage[disk : disk + 1]):
                return True
        if not answered:
            raise self._away()
        return NOT_MADE

    def _another_boot(self, status: Status) -> bool:
        """Whether it started after the request. Where it was seen before, its session key is another
        then; a clock that is not set is a restart's too, since somebody had logged in."""
        if status.uptime > 1.1 * self._elapsed + _SLACK:
            return False
        current = self._session.challenge
        if self._boot is None and current is not None:
            self._boot = current.spk  # of the login that this very request took
        try:
            return self._boot is None or self._session.run(auth.challenge()).spk != self._boot
        except HemClockError:
            return True

    def _looks(self, seconds: float) -> Iterator[Status | None]:
        """What it says again and again, ``None`` while it does not answer; the last time after
        ``seconds``."""
        for _ in self._clock.looks(seconds - self._elapsed, _PAUSE):
            if self._looked is not None:
                self._looked(self._elapsed)
            try:
                yield self._session.run(system.status())
            except (HemConnectionError, HemDeviceFault):
                yield None

    def _away(self) -> HemTimeout:
        return HemTimeout(f"{self._name}: not back after {self._elapsed:.0f} s")

    @property
    def _elapsed(self) -> float:
        return self._clock.now() - self._began

    @property
    def _name(self) -> str:
        return self._session.rest.channel.config.name
