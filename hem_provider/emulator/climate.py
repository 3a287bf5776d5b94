"""The device's climate: temperature and humidity that can be set and drift, and what heat does to a device.

``temp`` of the status is in °C (device API §17.1). No known firmware tells a humidity: the status has
``humidity``, in per cent of relative humidity, only where one was set. At 87 °C the temperature bit of the
fail state is latched; one report saw a PPA let go of it when it had cooled (§1.1, U30), and nothing is known
of an EPA, which keeps it until a restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from hem_provider.emulator.audit import Event
from hem_provider.emulator.device import Device
from hem_provider.emulator.quirks import Q
from hem_provider.emulator.state import Climate

__all__ = ["COOL", "HOT", "humidity", "latch", "set_climate", "temperature", "watch"]

#: °C at which the device latches its fail state, and at which it has cooled.
HOT: Final = 87.0
COOL: Final = 85.0
_HEAT: Final = 0x04
_ALL: Final = 0xFF
_ENTROPY: Final = 0x02
#: What the sensors can tell, in their units; drifting ends there.
_RANGES: Final = {"temperature": (-40.0, 125.0), "humidity": (0.0, 100.0)}
_SETTINGS: Final = ("temperature", "humidity", "temperature_drift", "humidity_drift", "fail_state")
_MOST_DRIFT: Final = 10_000.0


def temperature(device: Device) -> float:
    """What the device's sensor shows now, in °C with one decimal."""
    climate = device.state.knobs.climate
    return _drifted(device, "temperature", climate.temperature, climate.temperature_drift)


def humidity(device: Device) -> float | None:
    """Relative humidity in per cent with one decimal; ``None`` where none was set."""
    climate = device.state.knobs.climate
    if climate.humidity is None:
        return None
    return _drifted(device, "humidity", climate.humidity, climate.humidity_drift)


def _drifted(device: Device, name: str, value: float, drift: float) -> float:
    low, high = _RANGES[name]
    hours = max(0.0, device.host_time() - device.state.knobs.climate.since) / 3600 if drift else 0.0
    return round(min(high, max(low, value + drift * hours)), 1)


def set_climate(device: Device, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Set ``temperature`` (°C), ``humidity`` (per cent, or ``none``: no such field), ``temperature_drift``
    and ``humidity_drift`` (units an hour), and ``fail_state`` (the bits of ``fls_state``, of which those that
    are new are latched and the others go without a restart); what is not given stays as it is now. What is
    set then.

    ``ValueError`` names the one that is unknown or out of range.
    """
    values = asdict(device.state.knobs.climate) | {
        "temperature": temperature(device),
        "humidity": humidity(device),
        "since": device.host_time(),
    }
    bits = None
    for name, value in parameters.items():
        if name not in _SETTINGS:
            raise ValueError(f"a climate has no {name!r}; it has {', '.join(_SETTINGS)}")
        if value is None:
            continue
        if name == "fail_state":
            bits = _bits(value)
        else:
            values[name] = None if (name, value) == ("humidity", "none") else _number(name, value)
    climate = Climate(**values)
    device.state = replace(device.state, knobs=replace(device.state.knobs, climate=climate))
    if bits is not None:
        _set_bits(device, bits)
    watch(device)
    return {name: getattr(climate, name, device.boot.fls) for name in _SETTINGS}


def _bits(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _ALL:
        raise ValueError(f"fail_state is a whole number from 0 to {_ALL}, not {value!r}")
    return value


def _set_bits(device: Device, bits: int) -> None:
    new = bits & ~device.boot.fls
    device.change_boot(fls=device.boot.fls & bits, heated=False)
    if new:
        latch(device, new)


def _number(name: str, value: object) -> float:
    low, high = _RANGES.get(name, (-_MOST_DRIFT, _MOST_DRIFT))
    try:
        number = float(str(value))
    except ValueError:
        number = float("nan")
    if isinstance(value, bool) or not low <= number <= high:
        raise ValueError(f"{name} is a number from {low:g} to {high:g}, not {value!r}")
    return number


def watch(device: Device) -> None:
    """Latch the temperature bit in a device that is too hot, and let go of it in one that has cooled."""
    heat, boot = temperature(device), device.boot
    if heat >= HOT and not boot.heated:
        device.change_boot(heated=True)
        if not boot.fls & _HEAT:
            latch(device, _HEAT)
    elif heat <= COOL and boot.heated and device.is_ppa and device.switches.on(Q.COOLING_CLEARS):
        device.change_boot(fls=boot.fls & ~_HEAT, heated=False)


def latch(device: Device, bits: int) -> None:
    """Latch fail state bits, with the events that the device logs of it."""
    device.change_boot(fls=device.boot.fls | bits)
    if bits & _ENTROPY:
        device.log(Event.TRNG_FAILED)
    device.log(Event.NON_SECURE_STATE)
