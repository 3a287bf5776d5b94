"""The served emulator, where tests look for their helpers."""

from __future__ import annotations

from hem_provider.emulator.served import ServedEmulator

__all__ = ["ServedEmulator"]
