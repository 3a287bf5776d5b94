"""Faults to order: what a network, a tired device or an unlucky moment does to a client (device API §19, last
part).

*Request* faults strike single requests, chosen by endpoint, probability and count. *Conditions* hold until
cleared. *Actions* change the device once, as the world would; it recovers as a device does.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from hem_provider.emulator import lifecycle, tls
from hem_provider.emulator.climate import latch
from hem_provider.emulator.device import Device
from hem_provider.emulator.state import Fault, Tls

__all__ = ["FAULTS", "FaultKind", "FaultRow", "add_fault", "clear_faults", "pick", "unfold"]

_RNG = random.SystemRandom()
_MOST_SECONDS: Final = 10**9


class FaultKind(enum.Enum):
    """How a fault works."""

    REQUEST = "request"
    CONDITION = "condition"
    ACTION = "action"


@dataclass(frozen=True, slots=True)
class FaultRow:
    """One fault that can be ordered. ``seconds`` and ``status`` are the defaults of those parameters."""

    name: str
    kind: FaultKind
    summary: str
    seconds: float = 0.0
    status: int = 0


FAULTS: Final[Mapping[str, FaultRow]] = {
    row.name: row
    for row in (
        FaultRow("reset-before", FaultKind.REQUEST, "the connection is reset, the request is not processed"),
        FaultRow("reset-after", FaultKind.REQUEST, "the request is processed, then the connection is reset"),
        FaultRow("truncate", FaultKind.REQUEST, "the body stops short of its Content-Length"),
        FaultRow("slow", FaultKind.REQUEST, "the body dribbles for SECONDS", seconds=5.0),
        FaultRow("stall", FaultKind.REQUEST, "nothing happens for SECONDS, then all is well", seconds=30.0),
        FaultRow(
            "hang", FaultKind.REQUEST, "no answer; the connection is reset after SECONDS", seconds=3600.0
        ),
        FaultRow("status", FaultKind.REQUEST, "STATUS is answered, the request is not processed", status=500),
        FaultRow(
            "hang-after",
            FaultKind.REQUEST,
            "processed, then no answer; reset after SECONDS",
            seconds=3600.0,
        ),
        FaultRow("status-after", FaultKind.REQUEST, "processed, then STATUS is answered", status=504),
        FaultRow("empty", FaultKind.REQUEST, "processed; a success has no body"),
        FaultRow("garbage", FaultKind.REQUEST, "processed; a success has a body that is not JSON"),
        FaultRow("fieldless", FaultKind.REQUEST, "processed; a success is an object without fields"),
        FaultRow("wrong-types", FaultKind.REQUEST, "processed; a success has values of other types"),
        FaultRow("cloud-down", FaultKind.CONDITION, "the cloud does not answer"),
        FaultRow("install-busy", FaultKind.CONDITION, "an installation is in progress (409)"),
        FaultRow("repository-full", FaultKind.CONDITION, "no key can be stored (406), no slot is free"),
        FaultRow("fls", FaultKind.ACTION, "the fail state bits STATUS are latched until a restart", status=2),
        FaultRow(
            "clock-error", FaultKind.ACTION, "the clock jumps by SECONDS (also negative)", seconds=3600.0
        ),
        FaultRow("clock-unset", FaultKind.ACTION, "the clock counts as unset until the next check-in"),
        FaultRow("expired-certificate", FaultKind.ACTION, "the device's TLS certificate expired yesterday"),
        FaultRow("lost-certificate", FaultKind.ACTION, "the device has lost its TLS key and certificate"),
        FaultRow("unprovisioned", FaultKind.ACTION, "the secure element has no certificate yet"),
    )
}


def unfold(parameters: Mapping[str, Any]) -> Fault:
    """A fault from its parameters; ``ValueError`` names the one that is unknown or out of range."""
    name = parameters.get("name")
    row = FAULTS.get(str(name))
    if row is None:
        raise ValueError(f"no fault {name!r}; 'hem emulator faults' lists them")
    fault = replace(Fault(row.name), seconds=row.seconds, status=row.status)
    known = asdict(fault)
    for key, value in parameters.items():
        if key not in known or value is None:
            if value is None:
                continue
            raise ValueError(f"a fault has no parameter {key!r}; it has {', '.join(known)}")
        kind = type(known[key])
        if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
            raise ValueError(f"{key} of a fault is {kind.__name__}, not {value!r}")  # noqa: TRY004
        fault = replace(fault, **{key: kind(value)})
    if abs(fault.seconds) > _MOST_SECONDS:
        raise ValueError(f"seconds lie within {_MOST_SECONDS} of zero, not {fault.seconds}")
    if not 0 <= fault.probability <= 1:
        raise ValueError(f"probability is from 0 to 1, not {fault.probability}")
    return fault


def add_fault(device: Device, parameters: Mapping[str, Any]) -> None:
    """Order a fault; ``ValueError`` says what is wrong with its parameters."""
    fault = unfold(parameters)
    action = _ACTIONS.get(fault.name)
    if action is not None:
        action(device, fault)
        return
    knobs = device.state.knobs
    device.state = replace(device.state, knobs=replace(knobs, faults=(*knobs.faults, fault)))


def clear_faults(device: Device, name: str | None = None) -> None:
    """Drop the faults of one name, or all. Actions have happened and stay."""
    knobs = device.state.knobs
    kept = tuple(fault for fault in knobs.faults if name is not None and fault.name != name)
    device.state = replace(device.state, knobs=replace(knobs, faults=kept))


def pick(device: Device, method: str, path: str) -> tuple[Fault, ...]:
    """The request faults that strike this request; their counts go down."""
    knobs = device.state.knobs
    struck: list[Fault] = []
    kept: list[Fault] = []
    for fault in knobs.faults:
        if FAULTS[fault.name].kind is FaultKind.REQUEST and _strikes(fault, method, path):
            struck.append(fault)
            if fault.count > 0:
                fault = replace(fault, count=fault.count - 1)
        if fault.count != 0:
            kept.append(fault)
    if tuple(kept) != knobs.faults:
        device.state = replace(device.state, knobs=replace(knobs, faults=tuple(kept)))
    return tuple(struck)


def _strikes(fault: Fault, method: str, path: str) -> bool:
    verb, _, prefix = fault.endpoint.rpartition(" ")
    fits = verb in ("", method) and path.startswith(prefix)
    return fits and (fault.probability >= 1 or _RNG.random() < fault.probability)


def _latch(device: Device, fault: Fault) -> None:
    latch(device, fault.status & 0xFF)


def _shift_clock(device: Device, fault: Fault) -> None:
    device.state = replace(device.state, rtc_device=device.state.rtc_device + fault.seconds)


def _unset_clock(device: Device, _fault: Fault) -> None:
    device.change_boot(rtc_set=False)


def _expire(device: Device, _fault: Fault) -> None:
    state = device.state
    if state.knobs.ca is None:
        raise ValueError("this device has no certification authority")
    current = state.tls
    names = tls.certificate_names(current.chain) if current else tls.DEFAULT_NAMES
    key, now = current.key if current else None, device.host_time()
    _serve(device, tls.issue(state.knobs.ca, names, now=now, key=key, expired=True))


def _lose(device: Device, _fault: Fault) -> None:
    _serve(device, None)


def _serve(device: Device, material: Tls | None) -> None:
    """Present this material at once, as if the device had started with it."""
    if material is not None:
        lifecycle.install_tls(device, material)
    else:
        device.state = replace(device.state, tls=None)
    device.change_boot(tls=material)


def _unprovision(device: Device, _fault: Fault) -> None:
    factory = replace(device.state.factory, element_certificate=b"")
    device.state = replace(device.state, factory=factory)


_ACTIONS: Final[dict[str, Callable[[Device, Fault], None]]] = {
    "fls": _latch,
    "clock-error": _shift_clock,
    "clock-unset": _unset_clock,
    "expired-certificate": _expire,
    "lost-certificate": _lose,
    "unprovisioned": _unprovision,
}
