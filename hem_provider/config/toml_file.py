"""The configuration file: TOML with ``[[device]]`` tables and ``[pkcs11]``; refusals name the line."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from hem_provider.config.model import Config, DeviceConfig, Pkcs11Config
from hem_provider.config.settings import kinds_of
from hem_provider.config.tables import device_of, parse_table
from hem_provider.errors import HemConfigError
from hem_provider.files import read_file
from hem_provider.records import replace

__all__ = ["read_config"]

#: Larger files are no configuration, in bytes.
_MAX_FILE = 1024 * 1024


def read_config(path: Path) -> Config:
    """All of the file. ``HemConfigError`` names file, line, setting and what is accepted."""
    import tomllib  # a device given by the environment needs no file

    try:
        data = read_file(path, "the configuration", limit=_MAX_FILE)
        if len(data) > _MAX_FILE:
            raise HemConfigError(f"{path}: over {_MAX_FILE} bytes; no configuration is as large")
        text = data.decode("utf-8").replace("\r\n", "\n")
        document = tomllib.loads(text)
    except OSError as error:
        raise HemConfigError(f"{path}: cannot read the configuration: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise HemConfigError(f"{path}: not UTF-8 text at byte {error.start}") from None
    except ValueError as error:  # TOMLDecodeError, and numbers that are too long
        raise HemConfigError(f"{path}: not valid TOML: {error}") from None
    except RecursionError:
        raise HemConfigError(f"{path}: not valid TOML: nested too deeply") from None
    for name in document:
        if name not in ("device", "pkcs11"):
            line = _line_of(text, None, 0, name)
            raise HemConfigError(
                f"{path}, line {line}: unknown setting {name!r}; accepted: [[device]], [pkcs11]"
            )
    tables = document.get("device", [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise HemConfigError(
            f"{path}, line {_line_of(text, None, 0, 'device')}: write each device as a [[device]] table"
        )
    place = partial(_place, path, text)
    devices = tuple(device_of(table, partial(place, "device", n)) for n, table in enumerate(tables))
    _check_distinct(path, devices)
    section = document.get("pkcs11", {})
    if not isinstance(section, dict):
        raise HemConfigError(f"{path}, line {_line_of(text, None, 0, 'pkcs11')}: write a [pkcs11] table")
    values = parse_table(section, kinds_of(Pkcs11Config), partial(place, "pkcs11", 0))
    return Config(devices=devices, pkcs11=replace(Pkcs11Config(), **values), source=str(path))


def _place(path: Path, text: str, table: str, number: int, setting: str) -> str:
    return f"{path}, line {_line_of(text, table, number, setting)}: {setting!r}"


def _check_distinct(path: Path, devices: tuple[DeviceConfig, ...]) -> None:
    for setting in ("name", "slot"):
        seen = [getattr(each, setting) for each in devices if getattr(each, setting) is not None]
        twice = next((value for value in seen if seen.count(value) > 1), None)
        if twice is not None:
            raise HemConfigError(f"{path}: two devices have {setting} = {twice!r}; give each its own")


def _line_of(text: str, table: str | None, number: int, setting: str) -> int:
    """The 1-based line of a setting, or of its table's header, for messages.

    ``tomllib`` gives no positions; this looks for the header of the ``number``-th such table and
    then for the setting. A layout it does not follow (inline tables) gives the nearest line.
    """
    header = re.compile(r"^\s*\[\[?\s*([^\]\s]+)\s*\]\]?")
    wanted = re.compile(rf"^\s*(?:\[\[?\s*)?[\"']?{re.escape(setting)}[\"']?\s*[=.\]]")
    current, seen, best = None, -1, 1
    for position, line in enumerate(text.splitlines(), 1):
        if found := header.match(line):
            current = found.group(1)
            if current == table:
                seen += 1
                if seen == number:
                    best = position
        inside = table is None or (current == table and seen == number)
        if inside and wanted.match(line):
            return position
    return best
