"""What is configured: devices, the module, and where it came from. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

from hem_provider.config.limits import FIRMWARE_1_2_2, FirmwareLimits
from hem_provider.config.places import SYSTEM_FILE, config_path
from hem_provider.config.settings import DEVICE_SETTINGS, PKCS11_SETTINGS
from hem_provider.errors import HemConfigError

__all__ = ["DEFAULT_CLOUD_URL", "Config", "DeviceConfig", "Pkcs11Config"]

DEFAULT_CLOUD_URL = "https://api.encedo.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceConfig:
    """One device. Times are in seconds, ``turn_timeout`` is ``timeout`` where it is ``None``;
    ``pin_sha256`` is the SHA-256 of the certificate's SubjectPublicKeyInfo, in lower-case hex."""

    url: str
    name: str = "hem"
    slot: int | None = None
    ca_file: Path | None = None
    pin_sha256: str | None = None
    insecure: bool = False
    auth: str = "passphrase"
    master_kdf: str = "auto"
    passphrase_file: Path | None = None
    passphrase_command: tuple[str, ...] | None = None
    connect_timeout: float = 4.0
    timeout: float = 30.0
    keygen_timeout: float = 120.0
    turn_timeout: float | None = None
    spacing: float = 0.0
    max_calls: int = 4096
    firmware_limits: FirmwareLimits = FIRMWARE_1_2_2
    key_filter: tuple[str, ...] = ()
    allow_wipe: bool = False
    show_hidden: bool = False
    verify_signatures: bool = True
    cloud_url: str = DEFAULT_CLOUD_URL
    cloud_ca_file: Path | None = None
    cloud_proxy: str | None = field(default=None, repr=False)  # may hold a password


@dataclass(frozen=True, slots=True, kw_only=True)
class Pkcs11Config:
    """Settings of the PKCS#11 module.

    ``login_cache``: seconds for which a verified PIN opens a new login without asking the device
    (0 = never; at most 300). ``device_random``: mix device entropy into ``C_GenerateRandom``.
    """

    login_cache: float = 300.0
    device_random: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All devices, in slot order, and for messages where the settings came from, and which place
    could not be looked into (``passed_over``)."""

    devices: tuple[DeviceConfig, ...] = ()
    pkcs11: Pkcs11Config = Pkcs11Config()
    source: str = "nothing"
    passed_over: str = ""

    def device(self, name: str | None = None) -> DeviceConfig:
        """The device called ``name``, or the only one. Raises ``HemConfigError`` otherwise."""
        if not self.devices:
            raise HemConfigError(
                "no HEM is configured: set HEM_URL (for example https://my.ence.do), or write "
                f'[[device]] with url = "…" into {config_path() or SYSTEM_FILE}'
                + (f" ({self.passed_over})" if self.passed_over else "")
            )
        names = ", ".join(each.name for each in self.devices)
        if name is None:
            if len(self.devices) > 1:
                raise HemConfigError(f"{self.source}: say which device by its name: {names}")
            return self.devices[0]
        for each in self.devices:
            if each.name == name:
                return each
        raise HemConfigError(f"{self.source}: no device is called {name!r}; there are: {names}")


def _complete() -> None:
    """The parser tables and the dataclasses must name the same settings."""
    for parsers, shape in ((DEVICE_SETTINGS, DeviceConfig), (PKCS11_SETTINGS, Pkcs11Config)):
        missing = {each.name for each in fields(shape)} ^ set(parsers)
        if missing:
            raise AssertionError(f"{shape.__name__}: {missing}")


_complete()
