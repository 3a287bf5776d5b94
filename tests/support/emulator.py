"""The served emulator, where tests look for their helpers."""

from __future__ import annotations

from hem_provider.emulator.process import ServedEmulator

__all__ = ["ServedEmulator"]
