"""Which devices there are, how to reach them, and where a login comes from."""

from __future__ import annotations

from hem_provider.config.limits import FIRMWARE_1_2_2, FirmwareLimits
from hem_provider.config.load import device_from_url, load_config, new_device
from hem_provider.config.login_source import read_passphrase
from hem_provider.config.model import DEFAULT_CLOUD_URL, Config, DeviceConfig, Pkcs11Config
from hem_provider.config.places import config_path

__all__ = [
    "DEFAULT_CLOUD_URL",
    "FIRMWARE_1_2_2",
    "Config",
    "DeviceConfig",
    "FirmwareLimits",
    "Pkcs11Config",
    "config_path",
    "device_from_url",
    "load_config",
    "new_device",
    "read_passphrase",
]
