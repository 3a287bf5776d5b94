"""Turning the knobs of the emulator: firmware, switches and latency.

Each function runs inside a transaction of the device.
"""

from __future__ import annotations

from dataclasses import replace

from hem_provider.emulator.device import Device
from hem_provider.emulator.firmware import Firmware
from hem_provider.emulator.latency import load_profile
from hem_provider.emulator.quirks import Q, parse_quirk

__all__ = ["set_firmware", "set_latency", "set_quirk"]


def set_firmware(device: Device, firmware: Firmware) -> None:
    """Give the device another firmware at once; the switches that were set by hand stay set."""
    state = device.state
    factory = replace(state.factory, firmware=firmware)
    device.state = replace(state, factory=factory, firmware=firmware.version)


def set_quirk(device: Device, name: str, text: str) -> None:
    """Set a switch by name and typed value; ``ValueError`` says what is accepted."""
    key, value = parse_quirk(name, text)
    if key == Q.RTC_GAIN:  # a changed gain counts from now on
        now, host = float(device.now()), device.host_time()
        device.state = replace(device.state, rtc_device=now, rtc_host=host)
    knobs = device.state.knobs
    device.state = replace(device.state, knobs=replace(knobs, quirks={**knobs.quirks, key: value}))


def set_latency(device: Device, profile: str) -> None:
    """Set the latency profile: ``none``, ``ppa`` or a JSON file; ``ValueError`` says what is wrong with
    it."""
    device.state = replace(device.state, knobs=replace(device.state.knobs, latency=load_profile(profile)))
