"""The emulated HEM: a device in software, faithful to firmware 1.2.2, for trying, for tests and for
benchmarks.

It protects nothing: every key lies in the clear in its state file. ``open_device`` gives the device in this
process; ``hem emulator serve`` gives it network ports.
"""

from __future__ import annotations

import cryptography

#: The oldest release of ``cryptography`` with all that a device can do, as the extra in ``pyproject.toml``.
OLDEST = 48
if int(cryptography.__version__.partition(".")[0]) < OLDEST:  # installed by force, or without what we ask for
    raise ImportError(
        f"cryptography {cryptography.__version__} is older than {OLDEST}", name="hem_provider.emulator"
    )

from hem_provider.emulator.inprocess import EmulatedDevice, PrivilegedProcess, open_device  # noqa: E402

__all__ = ["EmulatedDevice", "PrivilegedProcess", "open_device"]
