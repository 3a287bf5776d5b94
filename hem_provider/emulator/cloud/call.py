"""What a cloud handler receives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hem_provider.emulator.cloud.records import Records
from hem_provider.emulator.device import Device
from hem_provider.emulator.http import Refusal, Request

__all__ = ["CloudCall"]


@dataclass(frozen=True, slots=True)
class CloudCall:
    """A request to the cloud: path parameters and JSON body. The cloud's store and clock are the device's."""

    device: Device
    request: Request
    path: Mapping[str, str]
    body: Mapping[str, Any]
    records: Records
    phone_woken: Callable[[str, list[str]], None]
    """Push a login event to the phones of these pairings."""
    phone_checked: Callable[[str], None]
    """Give the phone the chance to answer an event by now."""

    orders: Mapping[str, str] = field(default_factory=dict)
    """Remote management: instance id → action."""

    def text(self, name: str) -> str:
        """A body field that must be a string; 400 otherwise."""
        value = self.body.get(name)
        if not isinstance(value, str):
            raise Refusal(400)
        return value
