"""What is configured: devices, the module, and where it came from. No I/O."""

from __future__ import annotations

from pathlib import Path

from hem_provider.config import settings as as_
from hem_provider.config.limits import FIRMWARE_1_2_2, FirmwareLimits
from hem_provider.config.places import SYSTEM_FILE, config_path
from hem_provider.config.settings import seconds, setting
from hem_provider.errors import HemConfigError, HemDeviceNotConfigured
from hem_provider.records import frozen

__all__ = ["DEFAULT_CLOUD_URL", "Config", "DeviceConfig", "Pkcs11Config"]

DEFAULT_CLOUD_URL = "https://api.encedo.com"


@frozen(kw_only=True)
class DeviceConfig:
    """One device. Times are in seconds, ``turn_timeout`` is ``timeout`` where it is ``None``;
    ``pin_sha256`` is the SHA-256 of the certificate's SubjectPublicKeyInfo, in lower-case hex."""

    url: str = setting(as_.URL, variable="HEM_URL")
    name: str = setting(as_.NAME, "hem", variable="HEM_NAME")
    slot: int | None = setting(as_.SLOT, None)
    ca_file: Path | None = setting(as_.PATH, None, variable="HEM_CA_FILE")
    pin_sha256: str | None = setting(as_.PIN, None, variable="HEM_PIN_SHA256")
    insecure: bool = setting(as_.FLAG, False, variable="HEM_INSECURE")
    auth: str = setting(as_.AUTH, "passphrase", variable="HEM_AUTH")
    agent: str = setting(as_.AGENT, "auto", variable="HEM_AGENT", overrides=True)
    protected: bool = setting(as_.FLAG, False)
    master_kdf: str = setting(as_.MASTER_KDF, "auto")
    passphrase_file: Path | None = setting(as_.PATH, None, variable="HEM_PASSPHRASE_FILE")
    passphrase_command: tuple[str, ...] | None = setting(as_.COMMAND, None, variable="HEM_PASSPHRASE_COMMAND")
    connect_timeout: float = setting(seconds(0.1, 120), 4.0)
    timeout: float = setting(seconds(1, 3600), 30.0, variable="HEM_TIMEOUT")
    keygen_timeout: float = setting(seconds(10, 3600), 120.0)
    turn_timeout: float | None = setting(seconds(1, 3600), None)
    spacing: float = setting(seconds(0, 10), 0.0)
    max_calls: int = setting(as_.CALLS, 4096, variable="HEM_MAX_CALLS")
    firmware_limits: FirmwareLimits = setting(
        as_.FIRMWARE_LIMITS, FIRMWARE_1_2_2, variable="HEM_FIRMWARE_LIMITS"
    )
    key_filter: tuple[str, ...] = setting(as_.TEXTS, ())
    allow_wipe: bool = setting(as_.FLAG, False)
    show_hidden: bool = setting(as_.FLAG, False)
    verify_signatures: bool = setting(as_.FLAG, True, variable="HEM_VERIFY_SIGNATURES")
    cloud_url: str = setting(as_.CLOUD, DEFAULT_CLOUD_URL, variable="HEM_CLOUD_URL")
    cloud_ca_file: Path | None = setting(as_.PATH, None, variable="HEM_CLOUD_CA_FILE")
    cloud_proxy: str | None = setting(
        as_.PROXY,
        None,
        variable="HEM_CLOUD_PROXY",
        secret=True,  # it may hold a password
    )


@frozen(kw_only=True)
class Pkcs11Config:
    """Settings of the PKCS#11 module.

    ``login_cache``: seconds for which a verified PIN opens a new login without asking the device
    (0 = never; at most 300). ``device_random``: mix device entropy into ``C_GenerateRandom``.
    """

    login_cache: float = setting(seconds(0, 300), 300.0)
    device_random: bool = setting(as_.FLAG, False)


@frozen(kw_only=True)
class Config:
    """All devices, in slot order, and for messages where the settings came from, and which place
    could not be looked into (``passed_over``)."""

    devices: tuple[DeviceConfig, ...] = ()
    pkcs11: Pkcs11Config = Pkcs11Config()
    source: str = "nothing"
    passed_over: str = ""

    def device(self, name: str | None = None) -> DeviceConfig:
        """The device called ``name``, or the only one. Raises ``HemConfigError`` otherwise, of a name
        that none has ``HemDeviceNotConfigured``."""
        if not self.devices:
            raise HemConfigError(
                "no HEM is configured: set HEM_URL (for example https://my.ence.do), or write "
                f'[[device]] with url = "…" into {config_path() or SYSTEM_FILE}'
                + (f" ({self.passed_over})" if self.passed_over else ""),
                code="E-NO-DEVICE",
            )
        names = ", ".join(each.name for each in self.devices)
        if name is None:
            if len(self.devices) > 1:
                raise HemConfigError(
                    f"{self.source}: say which device by its name: {names}", code="E-WHICH-DEVICE"
                )
            return self.devices[0]
        for each in self.devices:
            if each.name == name:
                return each
        from difflib import get_close_matches  # for this error only

        meant = get_close_matches(name, [each.name for each in self.devices])
        guess = f"; did you mean {' or '.join(map(repr, meant))}? There" if meant else "; there"
        raise HemDeviceNotConfigured(f"{self.source}: no device is called {name!r}{guess} are: {names}")
