"""Readers of single values in answers: what a field must be, whoever sends it.

A reader takes the JSON value and what was asked for (``Asked``) and returns the value to use, or raises
``ValueError`` that says what was found, by type and size alone, and what is accepted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hem_provider.keytypes import KID_DIGITS, KID_FORM, KeyType
from hem_provider.records import frozen
from hem_provider.rest.encoding import parse_json, unb64, unb64url

__all__ = [
    "EMPTY",
    "NOTHING",
    "Asked",
    "Field",
    "Jwt",
    "MissingFieldError",
    "Reader",
    "Shape",
    "any_text",
    "data",
    "data_text",
    "flag",
    "integer",
    "jwt",
    "kid",
    "list_of",
    "number",
    "object_of",
    "objects",
    "read_fields",
    "text",
    "within",
]


@frozen
class Asked:
    """What the request asked for, as far as its answer must agree with it.

    ``type``: of the key used, where it is known; ``algorithm``: the device's literal; ``size``: bytes of
    the data sent; ``kid``: of the key asked for; ``public``: the public key sent; ``scope`` and ``until``
    (Unix seconds): of the token asked for; ``offset`` and ``count``: of a page; ``starts`` and ``ends``:
    what each ``descr`` of a search has there; ``echo``: what is to come back as it was sent.
    """

    type: KeyType | None = None
    algorithm: str | None = None
    size: int = 0
    kid: str | None = None
    public: bytes | None = None
    scope: str | None = None
    until: int | None = None
    offset: int = 0
    count: int | None = None
    starts: bytes = b""
    ends: bytes = b""
    echo: str | None = None


#: A request whose answer need not agree with anything.
NOTHING = Asked()

Reader = Callable[[Any, Asked], Any]


@frozen
class Field:
    """A named field. One that is not ``needed`` may be absent or null, but not malformed."""

    name: str
    read: Reader
    needed: bool = True


@frozen
class Shape:
    """The fields of an object, and what they must agree with together: ``agree`` raises ``ValueError``
    that begins with the name of the field at fault."""

    fields: tuple[Field, ...] = ()
    agree: Callable[[Mapping[str, Any], Asked], None] | None = None


#: Of an answer that nobody reads.
EMPTY = Shape()


@frozen
class Jwt:
    """A JWT as it came, and those of its claims that are read."""

    text: str
    claims: Mapping[str, Any]

    def __repr__(self) -> str:
        return "<Jwt>"


class MissingFieldError(ValueError):
    """A field that must be there is not."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"{self.name!r}: missing"


def read_fields(raw: Mapping[str, Any], shape: Shape, asked: Asked) -> dict[str, Any]:
    """The values of an object's fields, each checked; ``None`` for an absent one. ``ValueError``."""
    values: dict[str, Any] = {}
    for field in shape.fields:
        value = raw.get(field.name)
        if value is None:
            if field.needed:
                raise MissingFieldError(field.name)
            values[field.name] = None
            continue
        try:
            values[field.name] = field.read(value, asked)
        except ValueError as error:
            raise ValueError(f"{field.name!r}: {error}") from None
    if shape.agree is not None:
        shape.agree(values, asked)
    return values


def text(
    least: int, most: int, *, pattern: str | None = None, accepted: str = "", lines: bool = False
) -> Reader:
    """A string of ``least`` to ``most`` characters without control characters (line ends with ``lines``),
    all of which match ``pattern``, called ``accepted``."""
    form = re.compile(pattern) if pattern is not None else None

    def read(value: Any, _: Asked) -> str:
        if not isinstance(value, str):
            raise _wrong_type(value, "text")
        if not least <= len(value) <= most:
            raise ValueError(f"{len(value)} characters; accepted: {least} to {most}")
        if form is not None and form.fullmatch(value) is None:
            raise ValueError(f"{len(value)} characters; accepted: {accepted}")
        if any(_is_control(each) and not (lines and each in "\r\n") for each in value):
            raise ValueError(f"{len(value)} characters, some of them control characters; accepted: none")
        return value

    return read


def any_text(most: int) -> Reader:
    """A string of at most ``most`` characters that somebody else has chosen: its control characters read as
    their escapes (``\\x1b``), so that one of them neither acts on whoever shows it nor hides all others."""

    def read(value: Any, _: Asked) -> str:
        if not isinstance(value, str):
            raise _wrong_type(value, "text")
        if len(value) > most:
            raise ValueError(f"{len(value)} characters; accepted: 0 to {most}")
        return "".join(
            each.encode("unicode_escape").decode() if _is_control(each) else each for each in value
        )

    return read


def integer(least: int, most: int) -> Reader:
    """A whole number."""

    def read(value: Any, _: Asked) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong_type(value, "a whole number")
        return within(value, least, most)

    return read


def within(value: int, least: int, most: int) -> int:
    """``value``; ``ValueError`` unless it is from ``least`` to ``most``."""
    if not least <= value <= most:
        shown = value if value.bit_length() <= 64 else f"a number of {value.bit_length()} bits"
        raise ValueError(f"{shown}; accepted: {least} to {most}")
    return value


def number(least: float, most: float) -> Reader:
    """A number, whole or not."""

    def read(value: Any, _: Asked) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong_type(value, "a number")
        if not least <= value <= most:
            raise ValueError(f"a number out of range; accepted: {least:g} to {most:g}")
        return float(value)

    return read


def flag(value: Any, _: Asked) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise _wrong_type(value, "true or false")
    return value


def data(*sizes: int, most: int | None = None, never_zero: bool = False) -> Reader:
    """Base64 of so many bytes: one of ``sizes``, or with ``most`` any up to that. ``never_zero``: all
    bytes zero is what a fault looks like, not a value."""

    def read(value: Any, _: Asked) -> bytes:
        decoded = _decoded(value)
        if most is None and len(decoded) not in sizes:
            raise ValueError(f"{len(decoded)} bytes; accepted: {_listed(sizes)}")
        if most is not None and len(decoded) > most:
            raise ValueError(f"{len(decoded)} bytes; accepted: at most {most}")
        if never_zero and not any(decoded):
            raise ValueError(f"{len(decoded)} bytes, all of them zero")
        return decoded

    return read


def data_text(size: int) -> Reader:
    """Base64 of ``size`` bytes that is used as text, as it came."""

    def read(value: Any, _: Asked) -> str:
        decoded = _decoded(value)
        if len(decoded) != size:
            raise ValueError(f"{len(decoded)} bytes; accepted: {size}")
        return str(value)

    return read


def kid(value: Any, _: Asked) -> str:
    """A KID, in lower case."""
    if not isinstance(value, str):
        raise _wrong_type(value, f"{KID_DIGITS} hex digits")
    if re.fullmatch(KID_FORM, value.lower()) is None:
        raise ValueError(f"{len(value)} characters; accepted: {KID_DIGITS} hex digits")
    return value.lower()


def jwt(claims: Shape | None = None, most: int = 7300) -> Reader:
    """A JWT of up to ``most`` characters (what fits into a request), with these claims. The MAC is its
    addressee's to verify."""

    def read(value: Any, asked: Asked) -> Jwt:
        if not isinstance(value, str):
            raise _wrong_type(value, "a JWT")
        if len(value) > most:
            raise ValueError(f"{len(value)} characters; accepted: at most {most}")
        if re.fullmatch(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", value) is None:
            raise ValueError(f"{len(value)} characters that are no JWT")
        try:
            found = parse_json(unb64url(value.split(".")[1]))
        except ValueError:
            raise ValueError(f"{len(value)} characters that are no JWT: no claims") from None
        if not isinstance(found, dict):
            raise ValueError(f"{len(value)} characters that are no JWT: no claims")  # noqa: TRY004
        try:
            return Jwt(value, read_fields(found, claims or EMPTY, asked))
        except ValueError as error:
            raise ValueError(f"claim {error}") from None

    return read


def object_of(shape: Shape) -> Reader:
    """An object; its values."""

    def read(value: Any, asked: Asked) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _wrong_type(value, "an object")
        return read_fields(value, shape, asked)

    return read


def objects(shape: Shape, most: int) -> Reader:
    """A list of up to ``most`` objects; their values."""
    return list_of(object_of(shape), most)


def list_of(one: Reader, most: int) -> Reader:
    """A list of up to ``most`` values of one kind, as a tuple."""

    def read(value: Any, asked: Asked) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise _wrong_type(value, "a list")
        if len(value) > most:
            raise ValueError(f"a list of {len(value)}; accepted: at most {most}")
        found = []
        for place, each in enumerate(value):
            try:
                found.append(one(each, asked))
            except ValueError as error:
                raise ValueError(f"{place}: {error}") from None
        return tuple(found)

    return read


def _decoded(value: Any) -> bytes:
    if not isinstance(value, str):
        raise _wrong_type(value, "base64")
    try:
        return unb64(value)
    except ValueError:
        raise ValueError(f"{len(value)} characters that are not base64") from None


def _listed(sizes: Sequence[int]) -> str:
    return " or ".join(map(str, sizes))


def _is_control(character: str) -> bool:
    return character < " " or "\x7f" <= character <= "\x9f"


_TYPES = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a whole number"}


def _wrong_type(value: Any, accepted: str) -> ValueError:
    return ValueError(f"{_TYPES.get(type(value), 'a number')}; accepted: {accepted}")
