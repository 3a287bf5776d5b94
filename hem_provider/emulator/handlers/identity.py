"""What the emulated device says it is: versions, signatures and hashes of its parts (device API §17.2)."""

from __future__ import annotations

import hashlib

from hem_provider.emulator.encodings import to_b64
from hem_provider.emulator.state import Factory

__all__ = [
    "bootloader_signature",
    "dashboard_hash",
    "firmware_signature",
    "hardware",
    "public_key_of",
]


def _filler(name: str, size: int) -> str:
    return to_b64(hashlib.shake_256(f"hem-provider emulator {name}".encode()).digest(size))


def hardware(factory: Factory) -> str:
    """``hwv``: names the model as the device does, and that it is none."""
    own = "PPA rev 2.2" if factory.model == "ppa" else "EPA rev 1.0"
    return f"{factory.firmware.hardware or own} EMULATOR"


def firmware_signature(version: str) -> str:
    """``fws``: 64 bytes."""
    return _filler(f"firmware {version}", 64)


def bootloader_signature() -> str:
    """``bls``: 64 bytes."""
    return _filler("boot loader", 64)


def dashboard_hash() -> str:
    """``uis``: 32 bytes."""
    return _filler("dashboard", 32)


def public_key_of(part: str) -> str:
    """``fwk`` and ``blk``: 32 bytes."""
    return _filler(f"{part} key", 32)
