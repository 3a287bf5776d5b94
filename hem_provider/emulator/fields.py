"""Syntax of request fields: one small reader per kind of value (device API §2, §11.3, §13.1, §23.1).

A reader takes the JSON value and the switches in force and returns the decoded value, or raises
``ValueError``, which becomes status 400.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hem_provider.emulator.encodings import from_b64
from hem_provider.emulator.keytypes import parse_mode
from hem_provider.emulator.quirks import Q, Switches

__all__ = [
    "DESCR",
    "EXT_KID",
    "KID",
    "LABEL",
    "MODE",
    "MSG",
    "PEER",
    "Bound",
    "Field",
    "Reader",
    "body",
    "boolean",
    "choice",
    "context",
    "derivation",
    "integer",
    "kid",
    "message",
    "needle",
    "octets",
    "parse_fields",
    "text",
    "text_bytes",
    "text_matching",
]

Reader = Callable[[Any, Switches], Any]
Bound = int | Callable[[Switches], int]
"""A largest size, or how the firmware and the switches in force give it."""

_LABEL = re.compile(r"[ -~]+\Z")
_KID = re.compile(r"[0-9A-Fa-f]{32}\Z")
_STRICT_B64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\Z")


@dataclass(frozen=True, slots=True)
class Field:
    """A named field of a body. A field that is not required may be absent, but not malformed unless
    ``dropped``."""

    name: str
    read: Reader
    required: bool = True
    dropped: bool = False


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not a string")  # noqa: TRY004 - every fault of a field is one kind of error
    return value


def decode(value: Any, switches: Switches) -> bytes:
    """Base64 in the dialects that the switches allow."""
    encoded = _string(value)
    if not switches.on(Q.LENIENT_BASE64) and not (encoded and _STRICT_B64.match(encoded)):
        raise ValueError("not standard padded base64")
    return from_b64(encoded)


def message(more: int = 0) -> Bound:
    """The firmware's message size and ``more`` bytes."""
    return lambda switches: switches.limits.message + more


def context(switches: Switches) -> int:
    """The firmware's size of a signature's context."""
    return switches.limits.context


def derivation(switches: Switches) -> int:
    """The firmware's size of the context of a derived cipher key."""
    return switches.limits.derivation


def body(switches: Switches) -> int:
    """What is limited by the size of a body alone."""
    return switches.number(Q.BODY_LIMIT)


def _descr_size(switches: Switches) -> int:
    return switches.number(Q.DESCR_LIMIT)


def _most(maximum: Bound, switches: Switches) -> int:
    return maximum if isinstance(maximum, int) else maximum(switches)


def octets(minimum: int, maximum: Bound, *, dead: Q | None = None) -> Reader:
    """Base64 of ``minimum`` to ``maximum`` bytes; the maximum is not enforced while the switch ``dead`` is
    on."""

    def read(value: Any, switches: Switches) -> bytes:
        data, most = decode(value, switches), _most(maximum, switches)
        if len(data) < minimum or (len(data) > most and not (dead is not None and switches.on(dead))):
            raise ValueError(f"{len(data)} bytes, not {minimum} to {most}")
        return data

    return read


def text(minimum: int, maximum: Bound) -> Reader:
    """A string of ``minimum`` to ``maximum`` characters that is valid Unicode."""

    def read(value: Any, switches: Switches) -> str:
        string = _string(value)
        string.encode("utf-8")  # lone surrogates
        most = _most(maximum, switches)
        if not minimum <= len(string) <= most:
            raise ValueError(f"{len(string)} characters, not {minimum} to {most}")
        return string

    return read


def text_bytes(minimum: int, maximum: int) -> Reader:
    """A string of ``minimum`` to ``maximum`` bytes in UTF-8."""

    def read(value: Any, _switches: Switches) -> str:
        string = _string(value)
        if not minimum <= len(string.encode("utf-8")) <= maximum:
            raise ValueError(f"not {minimum} to {maximum} bytes")
        return string

    return read


def text_matching(pattern: re.Pattern[str]) -> Reader:
    """A string that the whole pattern matches."""

    def read(value: Any, _switches: Switches) -> str:
        string = _string(value)
        if not pattern.fullmatch(string):
            raise ValueError(f"does not match {pattern.pattern}")
        return string

    return read


def choice(*accepted: str) -> Reader:
    """One of some strings."""

    def read(value: Any, _switches: Switches) -> str:
        if _string(value) not in accepted:
            raise ValueError(f"not one of {', '.join(accepted)}")
        return str(value)

    return read


def integer(minimum: int, maximum: int) -> Reader:
    """A JSON integer within bounds."""

    def read(value: Any, _switches: Switches) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            raise ValueError(f"not an integer from {minimum} to {maximum}")
        return value

    return read


def boolean(value: Any, _switches: Switches) -> bool:
    """A JSON boolean."""
    if not isinstance(value, bool):
        raise ValueError("not a boolean")  # noqa: TRY004 - see _string
    return value


def kid(value: Any, _switches: Switches | None = None) -> bytes:
    """32 hexadecimal digits of either case."""
    if not _KID.match(_string(value)):
        raise ValueError("not 32 hexadecimal digits")
    return bytes.fromhex(value)


def _label(value: Any, switches: Switches) -> str:
    if not _LABEL.match(_string(value)) or len(value) > switches.limits.label:
        raise ValueError(f"a label is 1 to {switches.limits.label} printable ASCII characters")
    return str(value)


def _mode(value: Any, _switches: Switches) -> tuple[str, ...]:
    return parse_mode(_string(value))


@dataclass(frozen=True, slots=True)
class Needle:
    """What a search looks for in decoded descr bytes."""

    content: bytes
    at_start: bool
    at_end: bool


def needle(value: Any, switches: Switches) -> Needle:
    """``^b64``, ``b64$``, ``b64`` or ``^b64$`` (device API §11.7); anchors alone give an empty needle."""
    string = _string(value)
    at_start, at_end = string.startswith("^"), string.endswith("$")
    encoded = string[at_start : len(string) - at_end]
    return Needle(decode(encoded, switches) if encoded else b"", at_start, at_end)


KID = Field("kid", kid)
EXT_KID = Field("ext_kid", kid, required=False)
PEER = Field("pubkey", octets(1, 67), required=False)
MSG = Field("msg", octets(1, message()))
LABEL = Field("label", _label)
MODE = Field("mode", _mode, required=False)
DESCR = Field("descr", octets(1, _descr_size, dead=Q.DEAD_LIMITS), required=False)


def parse_fields(fields: tuple[Field, ...], body: Mapping[str, Any], switches: Switches) -> dict[str, Any]:
    """The decoded values of the fields present; ``ValueError`` names the first that is missing or
    malformed."""
    values: dict[str, Any] = {}
    for field in fields:
        if field.name not in body:
            if field.required:
                raise ValueError(f"{field.name} is missing")
            continue
        try:
            values[field.name] = field.read(body[field.name], switches)
        except ValueError as error:
            if not field.dropped:
                raise ValueError(f"{field.name}: {error}") from None
    return values
