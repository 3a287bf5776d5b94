"""Which settings hold, and where each comes from: for people, so without secrets."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hem_provider.config.limits import FIRMWARE_1_2_2, FirmwareLimits
from hem_provider.config.load import load_config
from hem_provider.config.model import DeviceConfig, Pkcs11Config
from hem_provider.config.places import config_path, is_there
from hem_provider.config.toml_file import Document, parse_document, read_bytes
from hem_provider.records import Field, fields, frozen
from hem_provider.trust import privileges_raised

__all__ = ["Effective", "Section", "Shown", "effective"]


@frozen
class Shown:
    """A setting: its value as JSON has it (``None``: none), and where it comes from. ``kind``: ``file``,
    ``environment`` or ``default``; ``origin``: the file's line, or the variable, else empty."""

    setting: str
    value: Any
    kind: str
    origin: str


@frozen
class Section:
    """Those of a device (``name``), or of the PKCS#11 module (``None``)."""

    name: str | None
    settings: tuple[Shown, ...]


@frozen
class Effective:
    """All that holds; ``source`` as messages have it."""

    source: str
    sections: tuple[Section, ...]


def effective() -> Effective:
    """The configuration that would be used now. ``HemConfigError`` as ``load_config``."""
    config = load_config()
    path = config_path()
    document = parse_document(path, read_bytes(path)) if path is not None and is_there(path) else None
    tables = document.devices if document is not None else []
    devices = tuple(
        Section(
            device.name,
            tuple(_shown(device, document, "device", number, tables[number] if document else {})),
        )
        for number, device in enumerate(config.devices)
    )
    section = document.pkcs11 if document is not None else {}
    module = Section(None, tuple(_shown(config.pkcs11, document, "pkcs11", 0, section)))
    return Effective(config.source, (*devices, module))


def _shown(
    settings: DeviceConfig | Pkcs11Config,
    document: Document | None,
    table: str,
    number: int,
    written: Mapping[str, Any],
) -> Iterator[Shown]:
    for each in fields(settings):
        variable = each.metadata["variable"]
        said = variable and not privileges_raised() and os.environ.get(variable)
        if said and (document is None or each.metadata["overrides"]):
            kind, origin = "environment", variable
        elif document is not None and each.name in written:
            kind, origin = "file", f"{document.path}, line {document.line(table, number, each.name)}"
        else:
            kind, origin = "default", ""
        yield Shown(each.name, _plain(each, getattr(settings, each.name)), kind, origin)


def _plain(setting: Field, value: object) -> Any:
    """As JSON has it. Of what may hold a secret nothing is told but that it is there: the password of a
    proxy, the arguments of a command."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, FirmwareLimits):
        limits = {each.name: getattr(value, each.name) for each in fields(value)}
        return {name: size for name, size in limits.items() if size != getattr(FIRMWARE_1_2_2, name)}
    if setting.name == "passphrase_command" and isinstance(value, tuple):
        return [value[0], *("…" for _ in value[1:])]
    if not setting.repr and isinstance(value, str):
        before, sign, after = value.rpartition("@")
        return f"{before.partition('//')[0]}//…@{after}" if sign else value
    return list(value) if isinstance(value, tuple) else value
