"""What a cloud handler receives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..device import Device
from ..http import Refusal, Request

__all__ = ["CloudCall"]


@dataclass(frozen=True, slots=True)
class CloudCall:
    """A request to the cloud: path parameters and JSON body. The cloud's store and clock are the device's."""

    device: Device
    request: Request
    path: Mapping[str, str]
    body: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A body field that must be a string; 400 otherwise."""
        value = self.body.get(name)
        if not isinstance(value, str):
            raise Refusal(400)
        return value
