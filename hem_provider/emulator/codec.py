"""Frozen dataclasses to JSON values and back, for the state file: bytes travel as base64 text.

A field is stored under its name, or under ``metadata["stored"]`` when the file has an older one.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import functools
import types
import typing
from typing import Any, TypeVar

__all__ = ["pack", "unpack"]

T = TypeVar("T")


def pack(value: object) -> Any:
    """A JSON value for a dataclass, tuple, dict, enum, bytes or JSON scalar."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {_stored(field): pack(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (tuple, list)):
        return [pack(item) for item in value]
    if isinstance(value, dict):
        return {name: pack(item) for name, item in value.items()}
    return value


def _stored(field: dataclasses.Field[Any]) -> str:
    return str(field.metadata.get("stored", field.name))


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def unpack(kind: type[T], value: Any) -> T:
    """The inverse of ``pack``; fields the value lacks take their defaults, so older state files stay
    readable."""
    return typing.cast(T, _unpack(kind, value))


def _unpack(kind: Any, value: Any) -> Any:
    origin = typing.get_origin(kind)
    arguments = typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        return _unpack(next(item for item in arguments if item is not types.NoneType), value)
    if origin is tuple:
        return tuple(_unpack(arguments[0], item) for item in value)
    if origin is dict:
        return {name: _unpack(arguments[1], item) for name, item in value.items()}
    if dataclasses.is_dataclass(kind):
        hints = _hints(typing.cast(type, kind))
        return typing.cast(Any, kind)(
            **{
                field.name: _unpack(hints[field.name], value[_stored(field)])
                for field in dataclasses.fields(kind)
                if _stored(field) in value
            }
        )
    if kind is bytes:
        return base64.b64decode(value)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(value)
    return value
