"""Syntax of request fields: one small reader per kind of value (device API §2, §11.3, §13.1, §23.1).

A reader takes the JSON value and the switches in force and returns the decoded value, or raises
``ValueError``, which becomes status 400. The bounds that it reads by are those of its JSON Schema, from which
the published document is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from hem_provider.emulator.encodings import from_b64
from hem_provider.emulator.keytypes import MODE_TEXTS, parse_mode
from hem_provider.emulator.quirks import Q, Switches
from hem_provider.emulator.schema import Schema, base64_text, enumeration, matching, string

__all__ = [
    "DESCR",
    "EXT_KID",
    "KID",
    "LABEL",
    "MODE",
    "MSG",
    "PATH",
    "PEER",
    "Bound",
    "Field",
    "Needle",
    "Reader",
    "body",
    "body_schema",
    "boolean",
    "choice",
    "context",
    "derivation",
    "integer",
    "jwt",
    "kid",
    "message",
    "needle",
    "octets",
    "parse_fields",
    "read_kid",
    "text",
    "text_bytes",
    "text_matching",
]

Bound = int | Callable[[Switches], int]
"""A largest size, or how the firmware and the switches in force give it."""

_LABEL = "[ -~]"
_KID = "[0-9A-Fa-f]{32}"
_STRICT_B64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\Z")


@dataclass(frozen=True, slots=True)
class Reader:
    """How a value is read, and its JSON Schema: what the schema refuses, reading refuses; where a schema
    cannot say all of it, reading refuses more."""

    read: Callable[[Any, Switches], Any]
    schema: Callable[[Switches], Schema]

    def __call__(self, value: Any, switches: Switches) -> Any:
        return self.read(value, switches)


@dataclass(frozen=True, slots=True)
class Field:
    """A named field of a body. A field that is not required may be absent, but not malformed unless
    ``dropped``."""

    name: str
    read: Reader
    required: bool | Q = True
    """A switch: while it is on."""
    dropped: bool = False
    msc: bool = False
    """Only a PPA has it."""

    def is_required(self, switches: Switches) -> bool:
        """Whether a body without it is malformed."""
        return switches.on(self.required) if isinstance(self.required, Q) else self.required


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

    def unlimited(switches: Switches) -> bool:
        return dead is not None and switches.on(dead)

    def read(value: Any, switches: Switches) -> bytes:
        data, most = decode(value, switches), _most(maximum, switches)
        if len(data) < minimum or (len(data) > most and not unlimited(switches)):
            raise ValueError(f"{len(data)} bytes, not {minimum} to {most}")
        return data

    def schema(switches: Switches) -> Schema:
        most = None if unlimited(switches) else _most(maximum, switches)
        return base64_text(minimum, most, lenient=switches.on(Q.LENIENT_BASE64))

    return Reader(read, schema)


def text(minimum: int, maximum: Bound, **more: Any) -> Reader:
    """A string of ``minimum`` to ``maximum`` characters that is valid Unicode. ``more`` stands in its
    schema."""

    def read(value: Any, switches: Switches) -> str:
        given = _string(value)
        given.encode("utf-8")  # lone surrogates
        most = _most(maximum, switches)
        if not minimum <= len(given) <= most:
            raise ValueError(f"{len(given)} characters, not {minimum} to {most}")
        return given

    return Reader(read, lambda switches: string(minimum, _most(maximum, switches)) | more)


def jwt(maximum: Bound, **claims: tuple[Field, ...]) -> Reader:
    """A JWT, of which the handler reads the content. ``claims``: those that are objects, and their fields."""
    token = text(1, maximum, contentMediaType="application/jwt")

    def schema(switches: Switches) -> Schema:
        inside = {name: body_schema(fields, switches) for name, fields in claims.items()}
        payload: Schema = {"type": "object", "properties": inside, "required": list(inside)}
        content = {"contentSchema": {"type": "array", "prefixItems": [{}, payload]}} if claims else {}
        return {**token.schema(switches), **content}

    return replace(token, schema=schema)


def text_bytes(minimum: int, maximum: int) -> Reader:
    """A string of ``minimum`` to ``maximum`` bytes in UTF-8."""

    def read(value: Any, _switches: Switches) -> str:
        given = _string(value)
        if not minimum <= len(given.encode("utf-8")) <= maximum:
            raise ValueError(f"not {minimum} to {maximum} bytes")
        return given

    told = f"{minimum} to {maximum} bytes in UTF-8"
    return Reader(read, lambda _: {**string(minimum, maximum), "description": told})


def text_matching(pattern: re.Pattern[str]) -> Reader:
    """A string that the whole pattern matches; one that JavaScript reads as Python does."""

    def read(value: Any, _switches: Switches) -> str:
        given = _string(value)
        if not pattern.fullmatch(given):
            raise ValueError(f"does not match {pattern.pattern}")
        return given

    return Reader(read, lambda _: matching(pattern.pattern))


def choice(*accepted: str) -> Reader:
    """One of some strings."""

    def read(value: Any, _switches: Switches) -> str:
        if _string(value) not in accepted:
            raise ValueError(f"not one of {', '.join(accepted)}")
        return str(value)

    return Reader(read, lambda _: enumeration(*accepted))


def integer(minimum: int, maximum: int, *, among: Sequence[int] = ()) -> Reader:
    """A JSON integer within bounds, and ``among`` some numbers if there are any."""

    def read(value: Any, _switches: Switches) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            raise ValueError(f"not an integer from {minimum} to {maximum}")
        if among and value not in among:
            raise ValueError(f"not one of {', '.join(map(str, among))}")
        return value

    bounds: Schema = {"enum": list(among)} if among else {"minimum": minimum, "maximum": maximum}
    return Reader(read, lambda _: {"type": "integer", **bounds})


def _boolean(value: Any, _switches: Switches) -> bool:
    if not isinstance(value, bool):
        raise ValueError("not a boolean")  # noqa: TRY004 - see _string
    return value


boolean: Final = Reader(_boolean, lambda _: {"type": "boolean"})
"""A JSON boolean."""


def read_kid(value: Any) -> bytes:
    """32 hexadecimal digits of either case; ``ValueError`` for anything else."""
    if not re.fullmatch(_KID, _string(value)):
        raise ValueError("not 32 hexadecimal digits")
    return bytes.fromhex(value)


kid: Final = Reader(lambda value, _: read_kid(value), lambda _: matching(_KID))
"""32 hexadecimal digits of either case."""


def _label_pattern(switches: Switches) -> str:
    return f"{_LABEL}{{1,{switches.limits.label}}}"


def _label(value: Any, switches: Switches) -> str:
    if not re.fullmatch(_label_pattern(switches), _string(value)):
        raise ValueError(f"a label is 1 to {switches.limits.label} printable ASCII characters")
    return str(value)


@dataclass(frozen=True, slots=True)
class Needle:
    """What a search looks for in decoded descr bytes."""

    content: bytes
    at_start: bool
    at_end: bool


def _needle(value: Any, switches: Switches) -> Needle:
    given = _string(value)
    at_start, at_end = given.startswith("^"), given.endswith("$")
    encoded = given[at_start : len(given) - at_end]
    return Needle(decode(encoded, switches) if encoded else b"", at_start, at_end)


def _needle_schema(switches: Switches) -> Schema:
    encoded = base64_text(1, None, lenient=switches.on(Q.LENIENT_BASE64))["pattern"]
    return matching(rf"\^?(?:{encoded.removeprefix('^').removesuffix('$')})?\$?")


needle: Final = Reader(_needle, _needle_schema)
"""``^b64``, ``b64$``, ``b64`` or ``^b64$`` (device API §11.7); anchors alone give an empty needle."""

PATH: Final[Mapping[str, Reader]] = {
    "kid": kid,
    "offset": text_matching(re.compile("[0-9]{1,9}")),
    "count": text_matching(re.compile("[0-9]{1,9}")),
    "id": text_matching(re.compile("[0-9A-Fa-f]{8}")),
}
"""What stands in a path: parameter → how it is read. What is malformed there has a status by endpoint."""

KID = Field("kid", kid)
EXT_KID = Field("ext_kid", kid, required=False)
PEER = Field("pubkey", octets(1, 67), required=False)
MSG = Field("msg", octets(1, message()))
LABEL = Field("label", Reader(_label, lambda switches: matching(_label_pattern(switches))))
MODE = Field(
    "mode",
    Reader(lambda value, _: parse_mode(_string(value)), lambda _: enumeration(*MODE_TEXTS)),
    required=False,
)
DESCR = Field("descr", octets(1, _descr_size, dead=Q.DEAD_LIMITS), required=False)


def body_schema(fields: Iterable[Field], switches: Switches, *, msc: bool = True) -> Schema:
    """Of an object with these fields. Others are ignored. ``msc``: of a PPA."""
    present = [field for field in fields if msc or not field.msc]
    schemas = {field.name: {} if field.dropped else field.read.schema(switches) for field in present}
    required = [field.name for field in present if field.is_required(switches)]
    return {"type": "object", "properties": schemas, "required": required}


def parse_fields(fields: tuple[Field, ...], body: Mapping[str, Any], switches: Switches) -> dict[str, Any]:
    """The decoded values of the fields present; ``ValueError`` names the first that is missing or
    malformed."""
    values: dict[str, Any] = {}
    for field in fields:
        if field.name not in body:
            if field.is_required(switches):
                raise ValueError(f"{field.name} is missing")
            continue
        try:
            values[field.name] = field.read(body[field.name], switches)
        except ValueError as error:
            if not field.dropped:
                raise ValueError(f"{field.name}: {error}") from None
    return values
