"""Base64 as the device API writes and reads it (device API §2.1), and JSON as it may come."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from typing import Any

__all__ = ["b64", "b64url", "parse_json", "unb64", "unb64url"]

_TO_STANDARD = str.maketrans("-_", "+/")
#: Objects and lists within each other, at most; the device API has three.
_DEPTH = 16
#: A text as far as it goes, so that none is looked at twice; each branch takes what it took for good.
_TEXT = re.compile(rb'"(?:[^"\\]++|\\.?)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))
_OPENING = b"[{"


def b64(data: bytes) -> str:
    """Standard alphabet with padding: the form of JSON fields and of claims inside JWTs."""
    return base64.b64encode(data).decode("ascii")


def b64url(data: bytes) -> str:
    """URL-safe alphabet without padding: the form of JWT segments."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64(text: str) -> bytes:
    """Decode either alphabet, padded or not. Raises ``ValueError`` for anything else."""
    try:
        plain = text.translate(_TO_STANDARD).rstrip("=").encode("ascii")
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError("not base64") from None


#: JWT segments need no decoder of their own: ``unb64`` takes both alphabets.
unb64url = unb64


def parse_json(data: bytes) -> Any:
    """The value of a JSON text in UTF-8 (RFC 8259), as no reader could take it otherwise.

    ``ValueError`` for anything else, and for what the standard leaves to each reader: a name twice in
    one object, NaN and infinities (``1e999``), half a surrogate pair, whole numbers over 4300 digits,
    more than 16 levels.
    """
    _refuse_many_levels(data)
    value = _JSON.decode(data.decode("utf-8"))
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, str):
            each.encode("utf-8")  # UnicodeEncodeError is a ValueError
        elif isinstance(each, float) and not math.isfinite(each):
            raise ValueError("an infinite number")
        elif isinstance(each, list):
            left += each
        elif isinstance(each, dict):
            left += (*each, *each.values())
    return value


def _refuse_many_levels(data: bytes) -> None:
    """Before the text is read: ``json`` takes stack for each level, and threads of programs that have the
    module loaded may have little (Python 3.13 goes on until it has used over 1 MiB)."""
    if sum(map(data.count, (b"[", b"{"))) <= _DEPTH:
        return
    depth = 0
    for each in _TEXT.sub(b"", data).translate(None, _NO_BRACKETS):
        depth += 1 if each in _OPENING else -1
        if depth > _DEPTH:
            raise ValueError("too many levels")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice in one object")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


#: Made once: ``json.loads`` would make one for each text.
_JSON = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_number)
