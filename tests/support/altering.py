"""Answers that cannot be true: each field of a true answer replaced by what its type, size or range
rules out, and each body by what is not the device API's."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["BODIES", "CLAIMS", "Path", "alterations", "altered", "paths", "value_at"]

#: Where a value is: names, the first of a list as 0, and the claims of a JWT behind ``CLAIMS``.
Path = tuple[Any, ...]
CLAIMS = "<claims>"
#: Takes the place of a value that is to be left out.
_GONE = object()

#: Fields of free text: any text may be true.
_FREE = frozenset(
    {"lbl", "label", "type", "hwv", "fwv", "blv", "hostname", "user", "email", "origin", "ip", "format"}
    | {"rid", "link", "eventid", "id", "status", "instanceid", "devid", "genuine_id", "sd_csd", "sd_cid"}
    | {"sub", "csr", "ts", "newcrt"}
)

_NEVER: dict[str, Any] = {
    "a list": [1],
    "a list of nothing": [[]],
    "an object": {"a": 1},
    "deep": json.loads("[" * 40 + "]" * 40),
    "a fraction": 1.5,
    "a huge number": 10**40,
    "a negative number": -(10**12),
    "long text": "A" * 200_000,
    "half a character": "\ud800",
    "a control character": "x\x1b[2J",
}
_NOT_TEXT = {"a number": 7, "true": True}
_NOT_A_CODE = {"one letter": "x", "no text": "", "not base64": "!!!!", "letters": "ź" * 44, "zeros": "A" * 44}
_NOT_A_NUMBER: dict[str, Callable[[Any], Any]] = {"digits": str, "a float": float, "true": lambda _: True}

#: What arrives instead of a JSON object.
BODIES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda body: body[: len(body) // 2] or b"{",
    "html": lambda _: b"<html>502</html>",
    "a list": lambda _: b"[]",
    "null": lambda _: b"null",
    "byte order mark": lambda body: b"\xef\xbb\xbf" + (body or b"{}"),
    "utf-16": lambda body: (body or b"{}").decode().encode("utf-16"),
    "not utf-8": lambda _: b'{"a": "\xff"}',
    "deep": lambda _: b'{"a": ' + b"[" * 100_000,
    "NaN": lambda body: b'{"nan": NaN, ' + (body[1:] if len(body) > 2 else b'"a": 1}'),
    "infinity": lambda body: b'{"inf": 1e999, ' + (body[1:] if len(body) > 2 else b'"a": 1}'),
    "a number of 5000 digits": lambda _: b'{"a": ' + b"9" * 5000 + b"}",
    "names twice": lambda body: (body[:-1] + b"," + body[1:]) if len(body) > 2 else b'{"a":1,"a":1}',
    "half a character": lambda body: b'{"\\ud800": 1, ' + (body[1:] if len(body) > 2 else b'"a": 1}'),
}


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """The place of each value in a true answer."""
    if at:
        yield at
    if isinstance(value, dict):
        for name, each in value.items():
            yield from paths(each, (*at, name))
    elif isinstance(value, list) and value:
        yield from paths(value[0], (*at, 0))
    elif isinstance(value, str) and value.count(".") == 2 and value.startswith("ey"):
        yield from paths(_claims(value), (*at, CLAIMS))


def alterations(value: Any, at: Path, *, optional: bool = False) -> dict[str, Any]:
    """What ``value`` at ``at`` is never true as, by name. ``optional``: it may well be absent."""
    name = next((each for each in reversed(at) if isinstance(each, str)), "")
    found: dict[str, Any] = dict(_NEVER)
    if not optional and name != "descr":
        found |= {"null": None, "gone": _GONE}
        if at[-1] == 0:  # a shorter list may be as true
            del found["gone"]
    if isinstance(value, str):
        found |= _NOT_TEXT
        if name not in _FREE:
            found |= {**_NOT_A_CODE, "twice": value + value, "cut": value[:-4], "in a list": [value]}
        if name == "descr":
            found.pop("no text", None)
    elif isinstance(value, bool):
        found |= {"zero": 0, "text": "true"}
    elif isinstance(value, int | float):
        found |= {each: make(value) for each, make in _NOT_A_NUMBER.items()}
        if isinstance(value, float):
            found.pop("a float")
            found.pop("a fraction")
    elif isinstance(value, list):
        found |= {"a text": "x", "a number": 0, "of nulls": [None], "too long": (value or [0]) * 200}
    elif isinstance(value, dict):
        found |= {"a text": "x", "a number": 0}
        if name != "scope":
            found.pop("an object")
    return found


def value_at(document: Any, at: Path) -> Any:
    """The value at a place of a true answer."""
    for step in at:
        document = _claims(document) if step == CLAIMS else document[step]
    return document


def altered(body: bytes, at: Path, value: Any) -> bytes:
    """``body`` with ``value`` at ``at``; as it is where it has no such place."""
    document = json.loads(body)
    try:
        whole = _replaced(document, at, value)
    except (KeyError, IndexError, TypeError):
        return body
    return json.dumps(whole).encode()


def _replaced(document: Any, at: Path, value: Any) -> Any:
    if not at:
        return value
    step, rest = at[0], at[1:]
    if step == CLAIMS:
        head, _, mac = document.split(".")
        claims = json.dumps(_replaced(_claims(document), rest, value)).encode()
        return f"{head}.{base64.urlsafe_b64encode(claims).rstrip(b'=').decode()}.{mac}"
    inner = _replaced(document[step], rest, value)
    copy = document.copy()
    if inner is _GONE:
        del copy[step]
    else:
        copy[step] = inner
    return copy


def _claims(token: str) -> Any:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
