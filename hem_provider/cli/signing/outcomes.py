"""How signing and verifying may end, beside what the device says."""

from __future__ import annotations

from hem_provider.errors import HemError

__all__ = ["BadSignature", "InputChanged"]


class BadSignature(HemError):
    """It is not one of this file by this key, or it is none at all; the text says which."""


class InputChanged(HemError):
    """The file was changed while it was signed; nothing was written."""
