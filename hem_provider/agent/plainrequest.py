"""HTTP requests as this project's own programs send them, whole in one piece, and the answers to them.

h11 reads everything that HTTP/1.1 is and takes most of a signature's time in the agent for it. What is not
exactly of the form here is left to it, whether it is a proper request or not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from hem_provider.config.agentplace import Field

__all__ = ["encode_answer", "read_request"]

#: All fields that are known here; none of them says anything about the connection or the body's coding.
_FIELDS = {
    name.encode(): name.lower()
    for name in (
        "Host",
        "User-Agent",
        "Content-Type",
        "Content-Length",
        "Cache-Control",
        Field.DEVICE,
        Field.SCOPES,
        Field.WITHIN,
        Field.REPEATABLE,
        Field.WATCHING,
    )
}
_FIRST = re.compile(rb"(GET|POST|PUT|DELETE) (/[!-~]*) HTTP/1\.1")
_FIELD = re.compile(rb"([A-Za-z-]+): ([!-~](?:[ -~]*[!-~])?)")
_LENGTH = re.compile(r"0|[1-9][0-9]{0,6}")
_END = b"\r\n\r\n"
#: Heads that are remembered as read, and how large such a one is at most in bytes; no secrets are in them.
_HEADS, _REMEMBERED = 128, 1024
#: Fields of answers as h11 lets them pass.
_NAME = re.compile(r"[-!#$%&'*+.^_`|~0-9a-zA-Z]+")
_VALUE = re.compile(r"(?:[^\0\s]+(?:[ \t]+[^\0\s]+)*)?", re.ASCII)
#: Statuses whose answers have no body (RFC 9110 §15.3.5, §15.4.5).
BODILESS = (204, 304)


def read_request(
    data: bytes, most_head: int, most_body: int
) -> tuple[str, str, Mapping[str, str], bytes] | None:
    """Method, path, fields (names in lower case) and body of one whole request without anything after it;
    ``None`` where it may be anything else, or head or body are larger in bytes."""
    head, end, body = data.partition(_END)
    if not end or len(head) > most_head or len(body) > most_body:
        return None
    found = _read_head_again(head) if len(head) <= _REMEMBERED else _read_head(head)
    if found is None or found[3] != len(body):
        return None
    method, path, fields, _ = found
    return method, path, fields, body


def _read_head(head: bytes) -> tuple[str, str, Mapping[str, str], int] | None:
    """Method, path, fields, and the length of the body."""
    first, *lines = head.split(b"\r\n")
    asked = _FIRST.fullmatch(first)
    if asked is None:
        return None
    fields: dict[str, str] = {}
    for line in lines:
        found = _FIELD.fullmatch(line)
        name = None if found is None else _FIELDS.get(found[1])
        if found is None or name is None or name in fields:
            return None
        fields[name] = found[2].decode("ascii")
    length = fields.get("content-length", "0")
    if "host" not in fields or not _LENGTH.fullmatch(length):
        return None
    return asked[1].decode("ascii"), asked[2].decode("ascii"), MappingProxyType(fields), int(length)


#: Who uses a key again sends the same head again.
_read_head_again = lru_cache(_HEADS)(_read_head)


def encode_answer(status: int, fields: Mapping[str, str], body: bytes) -> bytes:
    """An answer after which the connection goes on. ``ValueError`` for a status or field that is none."""
    if not 200 <= status <= 999:
        raise ValueError("not the status of an answer")
    lines = [f"HTTP/1.1 {status} "]
    for name, value in fields.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError("not a field of an answer")
        lines.append(f"{name}: {value}")
    if status in BODILESS:
        body = b""
    else:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body
