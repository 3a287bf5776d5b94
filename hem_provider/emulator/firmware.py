"""A firmware as a value: what it says of its parts, what it takes at most, how its switches stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

__all__ = ["FIRMWARE_1_2_2", "Firmware", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes after decoding; the defaults are those of firmware 1.2.2.

    The largest body and descr are switches (Q40, U29).
    """

    message: int = 2048
    """``msg`` of an operation (device API §13.1); decrypt takes 16 bytes more, unwrap 8."""
    context: int = 255
    """``ctx`` of EdDSA and ML-DSA (device API §13.3, §13.9)."""
    derivation: int = 64
    """``ctx`` of a cipher key derived from an ECDH secret (device API §13.7)."""
    label: int = 32
    """Printable ASCII characters of a key's label (device API §11.3)."""


@dataclass(frozen=True, slots=True)
class Firmware:
    """The defaults are firmware 1.2.2."""

    version: str = "1.2.2"
    """In ``fwv`` (device API §17.2) and in the first line of log files."""
    hardware: str = ""
    """``hwv`` without the mark of the emulator; empty: that of the model."""
    bootloader: str = "Encedo Secure Bootloader v2.0.1"
    """``blv``."""
    limits: Limits = field(default_factory=Limits)
    quirks: dict[str, bool | int | float | str] = field(default_factory=dict)
    """Switches by number that differ from their defaults."""


FIRMWARE_1_2_2: Final = Firmware()
