"""Why a device fails, as its status tells (device API §17.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hem_provider.errors import HemDeviceFault, HemError, HemNotInitialized
from hem_provider.rest import system

if TYPE_CHECKING:
    from hem_provider.device.checkin import Runs

__all__ = ["explained"]


def explained(session: Runs, fault: HemDeviceFault) -> HemDeviceFault:
    """``fault``, with what one look at the device's status says of it."""
    try:
        status = session.run(system.status())
    except HemError:  # the first fault says more
        return fault
    told = fault
    if not status.initialized:
        told = HemNotInitialized(f"{fault}: the device is not initialised")
    elif status.faults:
        told = HemDeviceFault(f"{fault}: fail state: {', '.join(status.faults)}", code="E-FAIL-STATE")
    elif status.format:
        told = HemDeviceFault(f"{fault}: it is formatting its storage ({status.format})", code="E-FORMATTING")
    told.status = fault.status
    return told
