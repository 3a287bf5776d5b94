"""Where an answer enters: its body is parsed and held against its call's ``Shape``, once for all.

What is wrong in it is a ``HemAnswerFault`` that names endpoint and field, what was found (never the
content) and what is accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from hem_provider.errors import HemAnswerFault
from hem_provider.rest.encoding import parse_json
from hem_provider.rest.fields import EMPTY, NOTHING, Asked, Jwt, MissingFieldError, Shape, read_fields
from hem_provider.rest.wire import Reply

__all__ = ["Answer", "Values"]

T = TypeVar("T")

#: Largest JSON answer, in bytes: a page of a listing is 5 000.
_MOST = 1024 * 1024


class Values:
    """Checked fields of an object, read by name and type. A name that is not in their ``Shape`` is
    a ``KeyError``, a value of another type than its reader gives a ``TypeError``: faults of ours."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._values = values
        self._where = where

    def text(self, name: str) -> str:
        """A string that must be there."""
        return self._need(name, self.optional_text(name))

    def integer(self, name: str) -> int:
        """A whole number that must be there."""
        return self._need(name, self.optional_integer(name))

    def data(self, name: str) -> bytes:
        """Bytes that must be there."""
        return self._need(name, self.optional_data(name))

    def jwt(self, name: str) -> Jwt:
        """A JWT that must be there."""
        return self._need(name, self.optional_jwt(name))

    def optional_text(self, name: str) -> str | None:
        """A string, or ``None``."""
        return self._typed(name, str)

    def optional_integer(self, name: str) -> int | None:
        """A whole number, or ``None``."""
        return self._typed(name, int)

    def optional_number(self, name: str) -> float | None:
        """A number, or ``None``."""
        return self._typed(name, float)

    def optional_flag(self, name: str) -> bool | None:
        """A boolean, or ``None``."""
        return self._typed(name, bool)

    def optional_data(self, name: str) -> bytes | None:
        """Bytes, or ``None``."""
        return self._typed(name, bytes)

    def optional_jwt(self, name: str) -> Jwt | None:
        """A JWT, or ``None``."""
        return self._typed(name, Jwt)

    def objects(self, name: str) -> list[Values]:
        """A list of objects; a missing list is an empty one."""
        return [Values(each, f"{self._where}: {name}") for each in self._typed(name, tuple) or ()]

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings; a missing list is an empty one."""
        return self._typed(name, tuple) or ()

    def inner(self, name: str) -> Values | None:
        """An object inside this one, or ``None``."""
        value = self._typed(name, dict)
        return None if value is None else Values(value, f"{self._where}: {name}")

    def _typed(self, name: str, kind: type[T]) -> T | None:
        value = self._values[name]
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"{name} is read as {kind.__name__}; its reader gives {type(value).__name__}")
        return value

    def _need(self, name: str, value: T | None) -> T:
        if value is None:
            raise HemAnswerFault(f"{self._where}: the answer lacks the field {name!r}")
        return value


class Answer(Values):
    """The JSON object of a successful reply.

    ``raw`` is the object as it came, for relaying it; ``body`` and ``media_type`` (lower case, without
    parameters) those of an answer that is not JSON; ``asked`` what it was held against. ``where`` names
    device and endpoint in messages.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        where: str,
        raw: Mapping[str, Any],
        status: int = 200,
        *,
        body: bytes = b"",
        media_type: str = "",
        asked: Asked = NOTHING,
    ) -> None:
        super().__init__(values, where)
        self.where = where
        self.asked = asked
        self.raw = raw
        self.status = status
        self.body = body
        self.media_type = media_type

    @classmethod
    def from_reply(cls, reply: Reply, where: str, shape: Shape = EMPTY, asked: Asked = NOTHING) -> Answer:
        """Read a reply's body as ``shape`` says; an empty body is an empty object (device API §1.6)."""
        raw = _object(reply.body, where)
        try:
            values = read_fields(raw, shape, asked)
        except MissingFieldError as error:
            raise HemAnswerFault(f"{where}: the answer lacks the field {error.name!r}") from None
        except ValueError as error:
            raise HemAnswerFault(f"{where}: the answer's field {error}") from None
        return cls(values, where, raw, reply.status, asked=asked)


def _object(body: bytes, where: str) -> dict[str, Any]:
    if not body.strip():
        return {}
    if len(body) > _MOST:
        raise HemAnswerFault(f"{where}: an answer of {len(body)} bytes; accepted: at most {_MOST}")
    try:
        value = parse_json(body)
    except ValueError:
        raise HemAnswerFault(f"{where}: the answer is not JSON") from None
    if not isinstance(value, dict):
        raise HemAnswerFault(f"{where}: the answer is not a JSON object")
    return value
