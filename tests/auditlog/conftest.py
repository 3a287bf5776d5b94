"""A device's log that a test writes itself, and a copy of it."""

from __future__ import annotations

import pytest
from support.devicelog import DeviceLog

from hem_provider.auditlog.collecting import Collector
from hem_provider.auditlog.copy import LogCopy
from hem_provider.auditlog.progress import known_of, note


@pytest.fixture
def device():
    return DeviceLog()


@pytest.fixture
def copy(tmp_path):
    return LogCopy(tmp_path / "copy")


@pytest.fixture
def collect(copy, device):
    """One run of a collector, as another process would make it; the names of its own events."""

    def collect(*, noted=True, **settings):
        with copy.writing(lambda: device.now) as writer:
            known = known_of(copy)
            before = writer.tip.number
            collector = Collector(known, writer.append, clock=lambda: device.now)
            try:
                collector.collect(device, **settings)
            finally:
                known.tip = writer.tip
                if noted:
                    note(copy, known)
        return [each.own.name for each in copy.entries(before) if each.own is not None]

    return collect
