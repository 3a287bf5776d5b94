"""What a device calls itself as a PKCS#11 token: in the module, and in URIs of its keys."""

from __future__ import annotations

import hashlib

__all__ = ["MANUFACTURER", "label_of", "model_of", "serial_of"]

MANUFACTURER = "Encedo"
#: Characters of a name that are left beside the mark of an emulator: a label has 32.
_BESIDE = 21


def label_of(name: str, *, emulator: bool) -> str:
    """The token's label: the configured name of the device, marked where it is an emulator."""
    return f"{name[:_BESIDE]} (EMULATOR)" if emulator else name


def model_of(*, emulator: bool) -> str:
    """The token's model."""
    return "HEM EMULATOR" if emulator else "HEM"


def serial_of(eid: str) -> str:
    """The token's serial number: 16 characters that change with the device's identity."""
    return hashlib.sha256(eid.encode()).hexdigest()[:16]
