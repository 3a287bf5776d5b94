"""Text encodings of the device: base64 in its dialects, hexadecimal ids, compact and strict JSON."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

__all__ = ["compact_json", "from_b64", "from_b64url", "parse_json_object", "to_b64", "to_b64url"]

_EITHER_ALPHABET = re.compile(r"[A-Za-z0-9+/_-]+={0,2}\Z")
_URL_ALPHABET = re.compile(r"[A-Za-z0-9_-]+\Z")
_URL_TO_STANDARD = str.maketrans("-_", "+/")


def to_b64(data: bytes) -> str:
    """Standard base64 with padding, as the device emits it in JSON (device API §2.1)."""
    return base64.b64encode(data).decode("ascii")


def from_b64(text: str) -> bytes:
    """Decode base64 of either alphabet, padded or not; ``ValueError`` for anything else, the empty text
    included."""
    if not _EITHER_ALPHABET.match(text):
        raise ValueError("not base64")
    bare = text.rstrip("=").translate(_URL_TO_STANDARD)
    if len(bare) % 4 == 1:
        raise ValueError("not base64: impossible length")
    return base64.b64decode(bare + "=" * (-len(bare) % 4))


def to_b64url(data: bytes) -> str:
    """URL-safe base64 without padding, as used in JWT segments and log files (device API §2.1)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_b64url(text: str) -> bytes:
    """Decode URL-safe base64 without padding; ``ValueError`` for anything else."""
    if not _URL_ALPHABET.match(text) or len(text) % 4 == 1:
        raise ValueError("not URL-safe base64")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def compact_json(value: object) -> str:
    """JSON without blanks, keys in the order given (device API §2.4)."""
    return json.dumps(value, separators=(",", ":"))


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def parse_json_object(data: bytes) -> dict[str, Any]:
    """Parse UTF-8 JSON whose top level is an object; ``ValueError`` for anything else, however deep or
    odd."""
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("JSON is not an object")  # noqa: TRY004 - a malformed body, whatever its type
    return value
