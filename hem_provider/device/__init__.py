"""One device: its login, its keys, and what its owner does with it. The parts are loaded when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hem_provider.device.hem import (
        CheckInResult,
        Encrypted,
        Hem,
        Identity,
        Kdf,
        Key,
        KeyInventory,
        Role,
        Statistics,
        Status,
        Version,
        connect,
    )

__all__ = [
    "CheckInResult",
    "Encrypted",
    "Hem",
    "Identity",
    "Kdf",
    "Key",
    "KeyInventory",
    "Role",
    "Statistics",
    "Status",
    "Version",
    "connect",
]


def __getattr__(name: str) -> object:
    if name in __all__:
        from hem_provider.device import hem

        return getattr(hem, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
