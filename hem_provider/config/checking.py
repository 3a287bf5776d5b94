"""Every fault of a configuration at once: all that ``load_config`` would refuse, not only the first, and what
is wrong with the files that it names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from hem_provider.config.load import ENVIRONMENT
from hem_provider.config.model import DeviceConfig, Pkcs11Config
from hem_provider.config.passphrase import checked_command, passphrase_from_file
from hem_provider.config.settings import kinds_of
from hem_provider.config.tables import device_of, parse_table
from hem_provider.config.toml_file import (
    Document,
    doubled,
    misplaced,
    parse_document,
    read_bytes,
)
from hem_provider.errors import HemConfigError
from hem_provider.files import read_file
from hem_provider.trust import check_not_writable_by_others

__all__ = ["environment_faults", "file_faults", "text_faults"]

_DEVICE, _MODULE = kinds_of(DeviceConfig), kinds_of(Pkcs11Config)
#: Larger files hold no certificates, in bytes.
_MAX_CA = 16 * 1024 * 1024


def file_faults(path: Path) -> list[str]:
    """All that is wrong with the file at ``path``, whoever may change it, and with the files that it names;
    an empty list where it can be used."""
    found: list[str] = []
    try:
        check_not_writable_by_others(path, "the configuration")
    except HemConfigError as error:
        found.append(str(error))
    except OSError:
        pass  # the next step tells
    try:
        document = parse_document(path, read_bytes(path, trusted=False))
    except HemConfigError as error:
        return [*found, *([str(error)] if str(error) not in found else [])]
    return [*found, *_of_document(document, named=True)]


def text_faults(path: Path, data: bytes) -> list[str]:
    """All that is wrong with what is written, as a file at ``path``; no other file is looked at."""
    try:
        document = parse_document(path, data)
    except HemConfigError as error:
        return [str(error)]
    return list(_of_document(document, named=False))


def environment_faults() -> list[str]:
    """All that is wrong with the device that the environment names."""
    given = {name: os.environ[name] for name in ENVIRONMENT if os.environ.get(name)}
    table = {ENVIRONMENT[name]: _DEVICE[ENVIRONMENT[name]].from_text(text) for name, text in given.items()}
    variables = {setting: variable for variable, setting in ENVIRONMENT.items()}
    found, device = _of_table(table, lambda setting: variables.get(setting, setting))
    return [*found, *(_of_named(device, lambda setting: variables.get(setting, setting)) if device else ())]


def _of_document(document: Document, *, named: bool) -> Iterator[str]:
    yield from misplaced(document)
    devices: list[DeviceConfig] = []
    for number, table in enumerate(document.devices):
        where = partial(document.place, "device", number)
        found, device = _of_table(table, where)
        yield from found
        if device is not None:
            devices.append(device)
            if named:
                yield from _of_named(device, where)
    yield from doubled(document.path, tuple(devices))
    where = partial(document.place, "pkcs11", 0)
    yield from _each(document.pkcs11, lambda part: parse_table(part, _MODULE, where))


def _of_table(table: Mapping[str, Any], where: Callable[[str], str]) -> tuple[list[str], DeviceConfig | None]:
    """The faults of a device's settings, and the device where there are none."""
    found = list(_each(table, lambda part: parse_table(part, _DEVICE, where)))
    if found:
        if "url" not in table:
            found += _told(lambda: device_of({}, where))
        return found, None
    device: list[DeviceConfig] = []
    found = _told(lambda: device.append(device_of(table, where)))
    return found, device[0] if device else None


def _each(table: Mapping[str, Any], read: Callable[[Mapping[str, Any]], object]) -> Iterator[str]:
    for setting, value in table.items():
        yield from _told(partial(read, {setting: value}))


def _of_named(device: DeviceConfig, where: Callable[[str], str]) -> Iterator[str]:
    """What is wrong with the files that a device's settings name; the passphrase is told to nobody."""
    file, command = device.passphrase_file, device.passphrase_command
    for setting, path in (("ca_file", device.ca_file), ("cloud_ca_file", device.cloud_ca_file)):
        if path is not None:
            yield from _at(where(setting), _told(partial(_check_authorities, path)))
    if file is not None:
        yield from _at(where("passphrase_file"), _told(partial(passphrase_from_file, file)))
    if command is not None:
        yield from _at(where("passphrase_command"), _told(partial(checked_command, command)))


def _check_authorities(path: Path) -> None:
    try:
        content = read_file(path, "the CA file", limit=_MAX_CA)
    except OSError as error:
        raise HemConfigError(f"CA file {path}: {error.strerror}", code="E-CA-FILE") from None
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise HemConfigError(f"CA file {path}: no PEM certificate in it", code="E-CA-FILE")


def _at(place: str, faults: list[str]) -> Iterator[str]:
    for each in faults:
        yield f"{place}: {each}"


def _told(read: Callable[[], object]) -> list[str]:
    """What ``read`` complains of, if anything."""
    try:
        read()
    except HemConfigError as error:
        return [str(error)]
    return []
