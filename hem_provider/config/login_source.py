"""Where a login's secret comes from when no caller gives one."""

from __future__ import annotations

from hem_provider.config.model import DeviceConfig
from hem_provider.config.passphrase import passphrase_from_command, passphrase_from_file

__all__ = ["read_passphrase"]


def read_passphrase(device: DeviceConfig) -> str | None:
    """The passphrase from the device's configured source, or ``None`` where there is none.

    Read afresh each time and never kept. One trailing line end is removed. Raises
    ``HemConfigError`` when the file or command fails, gives nothing, or others may write it.
    """
    if device.passphrase_file is not None:
        return passphrase_from_file(device.passphrase_file)
    if device.passphrase_command is not None:
        return passphrase_from_command(device.passphrase_command)
    return None
