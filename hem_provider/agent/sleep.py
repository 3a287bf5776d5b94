"""Noticing that the machine sleeps: told by logind where it runs, and found out afterwards in any case."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

__all__ = ["SleptClock", "watch_logind"]

#: Seconds that the clocks may differ by without a sleep.
_NOISE = 1.0
_LOGIND, _PATH = "org.freedesktop.login1", "/org/freedesktop/login1"


class SleptClock:
    """Whether the machine slept since this was made or last asked: ``CLOCK_MONOTONIC`` stands still then."""

    def __init__(self) -> None:
        self._apart = _apart()

    def slept(self) -> bool:
        """Asked before something is done for a client."""
        apart = _apart()
        slept, self._apart = apart - self._apart > _NOISE, apart
        return slept


def _apart() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()


async def watch_logind(lock: Callable[[str], None]) -> None:
    """Call ``lock`` with the reason when logind says that the machine is about to sleep or that the session
    is to be locked. Ends where there is no system bus, and when that ends."""
    try:
        from jeepney import HeaderFields, MatchRule, message_bus
        from jeepney.io.asyncio import open_dbus_connection

        bus = await open_dbus_connection("SYSTEM")
    except (ImportError, OSError, ValueError, KeyError, asyncio.IncompleteReadError):
        return
    async with bus:
        for name, path in (("Manager.PrepareForSleep", _PATH), ("Session.Lock", None)):
            interface, member = name.split(".")
            rule = MatchRule(type="signal", interface=f"{_LOGIND}.{interface}", member=member, path=path)
            await bus.send(message_bus.AddMatch(rule))
        while True:
            try:
                message = await bus.receive()
            except (OSError, EOFError):
                return
            member = message.header.fields.get(HeaderFields.member)
            if member == "Lock":
                lock("the session was locked")
            elif member == "PrepareForSleep" and message.body == (True,):
                lock("the machine went to sleep")
