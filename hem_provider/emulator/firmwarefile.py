"""The TOML file that describes a firmware with other limits than 1.2.2.

What the file does not say is as with firmware 1.2.2. Its switches are defaults of the device: what is set
with ``hem emulator quirks`` or ``--quirk`` goes over them.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from hem_provider.emulator.firmware import Firmware, Limits
from hem_provider.emulator.quirks import Q, QuirkValue, Switches, parse_quirk
from hem_provider.emulator.smallfile import read_small_file

__all__ = ["load_firmware"]

_TEXT: Final = re.compile(r"[ -~]{1,64}")
_TEXTS: Final = ("version", "hardware", "bootloader")
_LIMITS: Final[Mapping[str, range]] = {
    "message": range(1, 2**24 + 1),
    "context": range(1, 256),  # RFC 8032 §5.1 and FIPS 204 §5.2 have one byte for its length
    "derivation": range(1, 1025),
    "label": range(1, 256),
    "descr": range(1, 65536),
    "body": range(1024, 2**25 + 1),
}
_SWITCHED: Final[Mapping[str, Q]] = {"descr": Q.DESCR_LIMIT, "body": Q.BODY_LIMIT}
_AROUND_MESSAGE: Final = 512
"""Bytes of a body that KID, algorithm and field names may take beside the message."""


def load_firmware(path: str | os.PathLike[str]) -> Firmware:
    """The firmware that a TOML file describes; ``ValueError`` names file, key, value and what is accepted."""
    name = os.fspath(path)
    try:
        return _parse(tomllib.loads(read_small_file(path).decode("utf-8")))
    except OSError as error:
        raise ValueError(f"firmware file {name}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"firmware file {name}: not TOML: {error}") from None
    except RecursionError:
        raise ValueError(f"firmware file {name}: not TOML: nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"firmware file {name}: {error}") from None


def _parse(content: Mapping[str, Any]) -> Firmware:
    _known("", content, (*_TEXTS, "limits", "quirks"))
    texts = {key: _text(key, content[key]) for key in _TEXTS if key in content}
    sizes = _table("limits", content)
    _known("limits.", sizes, tuple(_LIMITS))
    for key, value in sizes.items():
        accepted = _LIMITS[key]
        if isinstance(value, bool) or not isinstance(value, int) or value not in accepted:
            raise ValueError(
                f"limits.{key} = {value!r}; accepted: a whole number from {accepted[0]} to {accepted[-1]}"
            )
    limits = Limits(**{row.name: sizes[row.name] for row in fields(Limits) if row.name in sizes})
    quirks = dict(_quirk(key, value) for key, value in _table("quirks", content).items())
    for key, switch in _SWITCHED.items():
        if key in sizes:
            if switch.value in quirks:
                raise ValueError(f"limits.{key} and quirks.{switch.value} say the same; give one of them")
            quirks[switch.value] = sizes[key]
    _check_body(limits, Switches(quirks))
    return Firmware(**texts, limits=limits, quirks=quirks)


def _check_body(limits: Limits, switches: Switches) -> None:
    """A message that no body can carry could never arrive (device API §1.5)."""
    body, needed = switches.number(Q.BODY_LIMIT), -(-limits.message // 3) * 4 + _AROUND_MESSAGE
    if body < needed:
        raise ValueError(
            f"limits.body = {body}; with limits.message = {limits.message} accepted: {needed} or more"
        )


def _known(where: str, table: Mapping[str, Any], accepted: tuple[str, ...]) -> None:
    for key in table:
        if key not in accepted:
            raise ValueError(f"no key {where}{key}; accepted: {', '.join(where + each for each in accepted)}")


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not _TEXT.fullmatch(value):
        raise ValueError(f"{key} = {value!r}; accepted: a text of 1 to 64 printable ASCII characters")
    return value


def _table(key: str, content: Mapping[str, Any]) -> Mapping[str, Any]:
    table = content.get(key, {})
    if not isinstance(table, dict):
        raise ValueError(f"{key} = {table!r}; accepted: a table, [{key}]")  # noqa: TRY004 - a bad file
    return table


def _quirk(key: str, value: Any) -> tuple[str, QuirkValue]:
    if not isinstance(value, (bool, int, float, str)):
        raise ValueError(f"quirks.{key} = {value!r}; accepted: true, false, a number or a text")  # noqa: TRY004
    text = ("on" if value else "off") if isinstance(value, bool) else str(value)
    try:
        return parse_quirk(key, text)
    except ValueError as error:
        raise ValueError(f"quirks.{key}: {error}") from None
