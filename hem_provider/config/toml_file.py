"""The configuration file: TOML with ``[[device]]`` tables and ``[pkcs11]``; refusals name the line."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from hem_provider.config.model import Config, DeviceConfig, Pkcs11Config
from hem_provider.config.settings import kinds_of
from hem_provider.config.tables import device_of, parse_table
from hem_provider.errors import HemConfigError
from hem_provider.files import read_file
from hem_provider.records import frozen, replace

__all__ = [
    "Document",
    "doubled",
    "misplaced",
    "parse_config",
    "parse_document",
    "read_bytes",
    "read_config",
]

#: Larger files are no configuration, in bytes.
_MAX_FILE = 1024 * 1024


def read_config(path: Path) -> Config:
    """All of the file. ``HemConfigError`` names file, line, setting and what is accepted."""
    return parse_config(path, read_bytes(path))


def read_bytes(path: Path, *, trusted: bool = True) -> bytes:
    """The content of the file, which is not larger than a configuration can be. ``HemConfigError``, with
    ``trusted`` also where others may change it."""
    try:
        data = read_file(path, "the configuration", limit=_MAX_FILE, trusted=trusted)
    except OSError as error:
        raise HemConfigError(
            f"{path}: cannot read the configuration: {error.strerror}", code="E-CONFIG-FILE"
        ) from None
    if len(data) > _MAX_FILE:
        raise HemConfigError(
            f"{path}: over {_MAX_FILE} bytes; no configuration is as large", code="E-CONFIG-FILE"
        )
    return data


@frozen
class Document:
    """A configuration file as TOML has it, with the lines of it."""

    path: Path
    text: str
    content: Mapping[str, Any]

    def line(self, table: str | None, number: int, setting: str) -> int:
        """Of a setting of the ``number``-th ``[[table]]``, from 1; ``None``: of the file's own."""
        return _line_of(self.text, table, number, setting)

    def place(self, table: str, number: int, setting: str) -> str:
        """The same, for messages."""
        return f"{self.path}, line {self.line(table, number, setting)}: {setting!r}"

    @property
    def devices(self) -> list[Mapping[str, Any]]:
        """The ``[[device]]`` tables, where they are such."""
        return [each for each in _listed(self.content.get("device")) if isinstance(each, dict)]

    @property
    def pkcs11(self) -> Mapping[str, Any]:
        """The ``[pkcs11]`` table, where it is one."""
        section = self.content.get("pkcs11")
        return section if isinstance(section, dict) else {}


def parse_document(path: Path, data: bytes) -> Document:
    """A file with this content; ``HemConfigError`` where it is no TOML."""
    import tomllib  # a device given by the environment needs no file

    if data.startswith(codecs.BOM_UTF8):
        raise HemConfigError(
            f"{path}: begins with a byte order mark, which an editor put there; save it as UTF-8 without one",
            code="E-CONFIG-FILE",
        )
    try:
        text = data.decode("utf-8").replace("\r\n", "\n")
        return Document(path, text, tomllib.loads(text))
    except UnicodeDecodeError as error:
        raise HemConfigError(f"{path}: not UTF-8 text at byte {error.start}", code="E-CONFIG-FILE") from None
    except ValueError as error:  # TOMLDecodeError, and numbers that are too long
        raise HemConfigError(f"{path}: not valid TOML: {error}", code="E-CONFIG-FILE") from None
    except RecursionError:
        raise HemConfigError(f"{path}: not valid TOML: nested too deeply", code="E-CONFIG-FILE") from None


def misplaced(document: Document) -> Iterator[str]:
    """What stands in no table, or in one that is none."""
    path, content = document.path, document.content
    for name in content:
        if name not in ("device", "pkcs11"):
            line = document.line(None, 0, name)
            yield f"{path}, line {line}: unknown setting {name!r}; accepted: [[device]], [pkcs11]"
    tables = content.get("device", [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        yield f"{path}, line {document.line(None, 0, 'device')}: write each device as a [[device]] table"
    if not isinstance(content.get("pkcs11", {}), dict):
        yield f"{path}, line {document.line(None, 0, 'pkcs11')}: write a [pkcs11] table"


def parse_config(path: Path, data: bytes) -> Config:
    """What a file at ``path`` with this content says; ``HemConfigError`` as ``read_config``."""
    document = parse_document(path, data)
    for fault in misplaced(document):
        raise HemConfigError(fault, code="E-SETTING")
    devices = tuple(
        device_of(table, partial(document.place, "device", n)) for n, table in enumerate(document.devices)
    )
    for fault in doubled(path, devices):
        raise HemConfigError(fault, code="E-SETTING")
    place = partial(document.place, "pkcs11", 0)
    values = parse_table(document.pkcs11, kinds_of(Pkcs11Config), place)
    return Config(devices=devices, pkcs11=replace(Pkcs11Config(), **values), source=str(path))


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def doubled(path: Path, devices: tuple[DeviceConfig, ...]) -> Iterator[str]:
    """Names and slots that two devices have."""
    for setting in ("name", "slot"):
        seen = [getattr(each, setting) for each in devices if getattr(each, setting) is not None]
        twice = next((value for value in seen if seen.count(value) > 1), None)
        if twice is not None:
            yield f"{path}: two devices have {setting} = {twice!r}; give each its own"


def _is_whole(lines: list[str]) -> bool:
    """Whether a line after these is none of a text that began before it."""
    import tomllib

    try:
        tomllib.loads("\n".join(lines))
    except ValueError:
        return False
    return True


def _line_of(text: str, table: str | None, number: int, setting: str) -> int:
    """The 1-based line of a setting, or of its table's header, for messages.

    ``tomllib`` gives no positions; this looks for the header of the ``number``-th such table and
    then for the setting. A layout it does not follow (inline tables) gives the nearest line.
    """
    header = re.compile(r"^\s*\[\[?\s*([^\]\s]+)\s*\]\]?")
    wanted = re.compile(rf"^\s*(?:\[\[?\s*)?[\"']?{re.escape(setting)}[\"']?\s*[=.\]]")
    current, seen, best = None, -1, 1
    lines = text.split("\n")
    odd = '"""' in text or "'''" in text  # texts of several lines, in which anything may stand
    for position, line in enumerate(lines, 1):
        found = header.match(line)
        if odd and (found or wanted.match(line)) and not _is_whole(lines[: position - 1]):
            continue
        if found:
            current = found.group(1)
            if current == table:
                seen += 1
                if seen == number:
                    best = position
        inside = table is None or (current == table and seen == number)
        if inside and wanted.match(line):
            return position
    return best
