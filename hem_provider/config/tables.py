"""One device's settings, from wherever they are, to a ``DeviceConfig``; refusals name the setting."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from hem_provider.config.model import DeviceConfig
from hem_provider.config.settings import Kind, RejectedValueError, kinds_of
from hem_provider.errors import HemConfigError
from hem_provider.records import MISSING, fields

__all__ = ["DEFAULTS", "device_of", "parse_table", "shown"]

#: Characters of a refused value that a message shows.
_SHOWN = 80

DEFAULTS: Mapping[str, object] = {
    each.name: each.default for each in fields(DeviceConfig) if each.default is not MISSING
}


def device_of(table: Mapping[str, object], where: Callable[[str], str]) -> DeviceConfig:
    """A device's settings, as TOML has them, to its configuration. ``where`` names the place of a setting.

    ``HemConfigError`` for a value that is not accepted, and for settings that contradict each other.
    """
    values = parse_table(table, kinds_of(DeviceConfig), where)
    if "url" not in values:
        raise HemConfigError(
            f"{where('url')}: missing; accepted: https://HOST[:PORT], emulator:PATH", code="E-SETTING"
        )
    device = DeviceConfig(**values)
    if device.insecure and (device.ca_file or device.pin_sha256):
        raise HemConfigError(
            f"{where('insecure')}: contradicts ca_file and pin_sha256; remove one of them", code="E-SETTING"
        )
    if device.passphrase_file and device.passphrase_command:
        raise HemConfigError(
            f"{where('passphrase_command')}: contradicts passphrase_file; remove one of them",
            code="E-SETTING",
        )
    return device


def parse_table(
    table: Mapping[str, object],
    kinds: Mapping[str, Kind],
    where: Callable[[str], str],
) -> dict[str, Any]:
    """The values of a table's settings. ``HemConfigError`` for an unknown one or a bad value."""
    values: dict[str, Any] = {}
    for setting, value in table.items():
        if setting not in kinds:
            raise HemConfigError(
                f"{where(setting)}: unknown setting; accepted: {', '.join(kinds)}{_meant(setting, kinds)}",
                code="E-SETTING",
            )
        try:
            values[setting] = kinds[setting].parse(value)
        except RejectedValueError as rejected:
            raise HemConfigError(
                f"{where(setting)}: {shown(value)}; accepted: {rejected}", code="E-SETTING"
            ) from None
    return values


def _meant(setting: str, kinds: Mapping[str, Kind]) -> str:
    from difflib import get_close_matches  # for this error only

    meant = get_close_matches(setting, kinds, n=1)
    return f"; did you mean {meant[0]!r}?" if meant else ""


def shown(value: object) -> str:
    """A refused value for messages: not at any length, and without the password of a URL."""
    text = re.sub(r"//[^/@]*@", "//…@", repr(value))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"
