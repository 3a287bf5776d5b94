"""Typed reading of a JSON answer: a missing or ill-typed field is a protocol error naming it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from hem_provider.errors import HemProtocolError
from hem_provider.rest.encoding import unb64
from hem_provider.rest.wire import Reply

__all__ = ["Answer"]

T = TypeVar("T")


class Answer:
    """The JSON object of a successful reply, or of an object inside one.

    ``raw`` is the object itself: for relaying verbatim. ``where`` names device and endpoint in
    messages. Unknown fields are ignored (device API §20.1).
    """

    def __init__(self, raw: Mapping[str, Any], where: str, status: int = 200) -> None:
        self.raw = raw
        self.status = status
        self._where = where

    @classmethod
    def from_reply(cls, reply: Reply, where: str) -> Answer:
        """Parse a reply's body; an empty body is an empty object (device API §1.6)."""
        if not reply.body.strip():
            return cls({}, where, reply.status)
        try:
            value = json.loads(reply.body)
        except (ValueError, RecursionError):
            raise HemProtocolError(f"{where}: the answer is not JSON") from None
        if not isinstance(value, dict):
            raise HemProtocolError(f"{where}: the answer is not a JSON object")
        return cls(value, where, reply.status)

    def text(self, name: str) -> str:
        """A string field that must be there."""
        return self._need(name, self.optional_text(name))

    def integer(self, name: str) -> int:
        """A whole number that must be there."""
        return self._need(name, self.optional_integer(name))

    def data(self, name: str) -> bytes:
        """A base64 field that must be there, decoded."""
        return self._need(name, self.optional_data(name))

    def optional_text(self, name: str) -> str | None:
        """A string field, or ``None``."""
        return self._typed(name, str)

    def optional_integer(self, name: str) -> int | None:
        """A whole number, or ``None``."""
        value = self.raw.get(name)
        if isinstance(value, bool):
            raise self._wrong(name, "a whole number")
        return self._typed(name, int)

    def optional_number(self, name: str) -> float | None:
        """A number, or ``None``."""
        value = self.raw.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._wrong(name, "a number")
        return float(value)

    def optional_flag(self, name: str) -> bool | None:
        """A boolean, or ``None``."""
        return self._typed(name, bool)

    def optional_data(self, name: str) -> bytes | None:
        """A base64 field, decoded, or ``None``."""
        text = self.optional_text(name)
        if text is None:
            return None
        try:
            return unb64(text)
        except ValueError:
            raise self._wrong(name, "base64") from None

    def objects(self, name: str) -> list[Answer]:
        """A list of objects; a missing list is an empty one."""
        values = self._typed(name, list) or []
        if not all(isinstance(each, dict) for each in values):
            raise self._wrong(name, "a list of objects")
        return [Answer(each, f"{self._where}: {name}") for each in values]

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings; a missing list is an empty one."""
        values = self._typed(name, list) or []
        if not all(isinstance(each, str) for each in values):
            raise self._wrong(name, "a list of strings")
        return tuple(values)

    def inner(self, name: str) -> Answer | None:
        """An object inside this one, or ``None``."""
        value = self._typed(name, dict)
        return None if value is None else Answer(value, f"{self._where}: {name}")

    def _typed(self, name: str, kind: type[T]) -> T | None:
        value = self.raw.get(name)
        if value is None:
            return None
        if not isinstance(value, kind):
            raise self._wrong(name, f"of type {kind.__name__}")
        return value

    def _need(self, name: str, value: T | None) -> T:
        if value is None:
            raise HemProtocolError(f"{self._where}: the answer lacks the field {name!r}")
        return value

    def _wrong(self, name: str, wanted: str) -> HemProtocolError:
        return HemProtocolError(f"{self._where}: the answer's field {name!r} is not {wanted}")
