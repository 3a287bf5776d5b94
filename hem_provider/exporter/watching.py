"""All devices and the user's agent, as they are when somebody asks."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hem_provider._version import __version__
from hem_provider.agent.calls import AgentCalls
from hem_provider.config import DeviceConfig
from hem_provider.config.settings import same_url
from hem_provider.errors import HemError
from hem_provider.exporter.collecting import SELF_TEST, Collector, Reading
from hem_provider.exporter.kept import Kept
from hem_provider.exporter.metrics import Sample
from hem_provider.exporter.samples import EXPORTER, of_agent, of_reading, of_traffic

__all__ = ["Watch"]

#: Seconds that an agent gets to tell its state, as a collection of a device waits for it.
_AGENT = 5.0


class Watch:
    """``interval``: seconds for which what was collected is good. ``labels``: whether keys are told of one by
    one. Constructing does no I/O."""

    def __init__(
        self,
        devices: Sequence[DeviceConfig],
        *,
        interval: float,
        self_test: float = SELF_TEST,
        labels: bool = False,
        agent: AgentCalls | None = None,
    ) -> None:
        self._labels = labels
        self._calls = AgentCalls() if agent is None else agent
        self._agent = Kept("agent", self._ask_agent, interval)
        self._collectors = [self._collector(each, self_test) for each in devices]
        self._kept = [
            (each, Kept(f"device {each.config.name}", each.collect, interval)) for each in self._collectors
        ]

    def samples(self, within: float) -> Iterator[Sample]:
        """All values there are within so many seconds. One collection of each device at most, where what is
        kept is too old; ``hem_up`` is 0 where none ended in time and none is kept that still holds."""
        ends = time.monotonic() + within
        for _, kept in self._kept:
            kept.begin()  # all at once
        yield Sample("hem_build_info", (__version__, platform.python_version()), 1)
        told = self._agent.get(min(within, _AGENT))
        yield Sample("hem_agent_up", (), told is not None)
        for collector, kept in self._kept:
            name = collector.config.name
            reading = kept.get(ends - time.monotonic()) or Reading(time.time())
            yield from of_reading(name, reading, labels=self._labels)
            served = self._served(collector.config, told)
            if served is not None:
                yield from of_agent(name, served)
            logins = collector.hem.statistics.logins
            yield from of_traffic(name, EXPORTER, collector.tally.document(), logins)

    @property
    def collections(self) -> Mapping[str, int]:
        """Device → how often it was begun to ask it."""
        return {collector.config.name: kept.collections for collector, kept in self._kept}

    def close(self) -> None:
        """Forget logins and connections."""
        for each in self._collectors:
            each.hem.logout()
            each.hem.close()

    def _collector(self, device: DeviceConfig, self_test: float) -> Collector:
        def state() -> str | None:
            served = self._served(device, self._agent.get(_AGENT))
            return None if served is None else str(served.get("state"))

        return Collector(device, agent=state, self_test=self_test)

    def _ask_agent(self) -> dict[str, Any] | None:
        try:
            return self._calls.status()
        except HemError:
            return None

    @staticmethod
    def _served(device: DeviceConfig, told: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """What an agent says of this device."""
        devices = [] if told is None else told["devices"]
        return next((each for each in devices if same_url(each["url"], device.url)), None)
