"""Turning the knobs of the emulator: switches and latency. Each function runs inside a transaction of the
device."""

from __future__ import annotations

from dataclasses import replace

from .device import Device
from .latency import load_profile
from .quirks import Q, parse_quirk

__all__ = ["set_latency", "set_quirk"]


def set_quirk(device: Device, name: str, text: str) -> None:
    """Set a switch by name and typed value; ValueError says what is accepted."""
    key, value = parse_quirk(name, text)
    if key == Q.RTC_GAIN:  # a changed gain counts from now on
        now, host = float(device.now()), device.host_time()
        device.state = replace(device.state, rtc_device=now, rtc_host=host)
    bench = device.state.bench
    device.state = replace(device.state, bench=replace(bench, quirks={**bench.quirks, key: value}))


def set_latency(device: Device, profile: str) -> None:
    """Set the latency profile: `none`, `ppa` or a JSON file; ValueError says what is wrong with it."""
    device.state = replace(device.state, bench=replace(device.state.bench, latency=load_profile(profile)))
