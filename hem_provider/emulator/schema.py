"""JSON Schemas (2020-12) of what requests and answers are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["Schema", "base64_text", "enumeration", "listed", "matching", "number", "record", "string"]

Schema = dict[str, Any]

#: One character of each dialect.
_EITHER: Final = "[A-Za-z0-9+/_-]"
_STANDARD: Final = "[A-Za-z0-9+/]"


def string(minimum: int | None = None, maximum: int | None = None) -> Schema:
    """Text of so many characters."""
    bounds = {"minLength": minimum, "maxLength": maximum}
    return {"type": "string", **{name: bound for name, bound in bounds.items() if bound is not None}}


def matching(pattern: str) -> Schema:
    """Text that a pattern matches from end to end."""
    return {"type": "string", "pattern": f"^{pattern}$"}


def enumeration(*values: str) -> Schema:
    """One of some texts."""
    return {"type": "string", "enum": list(values)}


def number(minimum: int | None = None, maximum: int | None = None) -> Schema:
    """A whole number."""
    bounds = {"minimum": minimum, "maximum": maximum}
    return {"type": "integer", **{name: bound for name, bound in bounds.items() if bound is not None}}


def base64_text(minimum: int, maximum: int | None = None, *, lenient: bool = False) -> Schema:
    """Base64 of ``minimum`` to ``maximum`` bytes, of no more than fits in ``None``.

    Standard and padded; ``lenient``: of either alphabet, padded or not (device API §2.1). The pattern counts:
    each alternative is so many groups of four characters and an end of none, two or three.
    """
    character = _EITHER if lenient else _STANDARD
    ends = {0: "", 1: f"{character}{{2}}", 2: f"{character}{{3}}"}
    padding = {0: "", 1: "==", 2: "="}
    forms = []
    for rest, end in ends.items():
        least = max(0, -(-(minimum - rest) // 3))
        most = None if maximum is None else (maximum - rest) // 3
        if most is None or most >= least:
            groups = f"(?:{character}{{4}}){{{least},{'' if most is None else most}}}"
            forms.append(f"{groups}{end}{'' if lenient else padding[rest]}")
    told = f"{minimum} bytes" if minimum == maximum else f"{minimum} bytes or more"
    if maximum is not None and maximum != minimum:
        told = f"{minimum} to {maximum} bytes"
    whole = f"(?:{'|'.join(forms)}){'={0,2}' if lenient else ''}"
    return {**matching(whole), "contentEncoding": "base64", "description": told}


def listed(items: Schema, maximum: int | None = None) -> Schema:
    """An array."""
    return {"type": "array", "items": items, **({} if maximum is None else {"maxItems": maximum})}


def record(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """An object of these fields and no others."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }
