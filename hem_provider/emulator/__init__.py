"""The emulated HEM: a device in software, faithful to firmware 1.2.2, for trying, for tests and for
benchmarks.

It protects nothing: every key lies in the clear in its state file. ``open_device`` gives the device in this
process; ``hem emulator serve`` gives it network ports.
"""

from __future__ import annotations

from hem_provider.emulator.inprocess import EmulatedDevice, PrivilegedProcess, open_device

__all__ = ["EmulatedDevice", "PrivilegedProcess", "open_device"]
