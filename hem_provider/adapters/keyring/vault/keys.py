"""The vault's keys on a device, without asking the device what they are: the vault knows.

A get then costs one call once the key's token is at hand. Type and mode family are checked where
time does not matter: when a vault is made, moved or checked.
"""

from __future__ import annotations

from typing import Protocol

from hem_provider.adapters.keyring.vault.errors import VaultError
from hem_provider.device.hem import Hem, Key
from hem_provider.symmetric import AesKey, MacKey
from hem_provider.symmetric.hem import DeviceAesKey, DeviceMacKey

__all__ = ["NAMES_TYPE", "WRAP_TYPE", "DeviceKeys", "KeySource", "check_names_key", "check_wrap_key"]

#: Type of the keys that wrap data keys, and its mode family.
WRAP_TYPE, WRAP_FAMILY = "AES256", "wrap"
#: Type of the keys that hide names.
NAMES_TYPE = "SHA2-256"


class KeySource(Protocol):
    """Keys by KID; making one of these objects is no I/O."""

    def wrapping(self, kid: str) -> AesKey:
        """The AES-256 key that wraps data keys."""

    def naming(self, kid: str) -> MacKey:
        """The HMAC-SHA256 key that hides names."""


class DeviceKeys:
    """Keys of one device."""

    def __init__(self, hem: Hem) -> None:
        self._operations = hem.operations

    def wrapping(self, kid: str) -> AesKey:
        """See ``KeySource``."""
        return DeviceAesKey(self._operations, kid, 256, f"key {kid} ({WRAP_TYPE})")

    def naming(self, kid: str) -> MacKey:
        """See ``KeySource``."""
        return DeviceMacKey(self._operations, kid, NAMES_TYPE, f"key {kid} ({NAMES_TYPE})")


def check_wrap_key(key: Key) -> None:
    """``VaultError`` unless ``key`` is an AES-256 key kept to the mode family ``wrap``."""
    if key.type.name != WRAP_TYPE:
        raise VaultError(f"key {key.kid} ({key.label!r}) is {key.type.name}; a vault needs {WRAP_TYPE}")
    if key.family_mark != frozenset({WRAP_FAMILY}):
        kept = ", ".join(sorted(key.family_mark or ())) or "no mode family"
        raise VaultError(
            f"key {key.kid} ({key.label!r}) is kept to {kept}; a vault needs a key made with "
            f"usage={{{WRAP_FAMILY!r}}}, which is used for nothing else"
        )


def check_names_key(key: Key) -> None:
    """``VaultError`` unless ``key`` is an HMAC-SHA256 key."""
    if key.type.name != NAMES_TYPE:
        raise VaultError(f"key {key.kid} ({key.label!r}) is {key.type.name}; hidden names need {NAMES_TYPE}")
