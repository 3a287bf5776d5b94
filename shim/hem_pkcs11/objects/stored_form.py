"""The text of a stored object's file: a JSON object with class, privacy, and attributes in base64. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from hem_pkcs11.constants import CKO
from hem_pkcs11.objects.stored import StoredObject, restored_object

__all__ = ["decoded", "encoded"]

_KIND = re.compile(r"0x[0-9a-f]{1,16}")


def encoded(item: StoredObject) -> bytes:
    """The file."""
    import json

    attributes = {f"{kind:#x}": base64.b64encode(value).decode() for kind, value in item.values.items()}
    record = {"class": item.object_class.name, "private": item.private, "attributes": attributes}
    return json.dumps(record).encode("ascii")


def decoded(data: bytes, name: str) -> StoredObject:
    """The object of a file. Raises ``ValueError`` for whatever ``encoded`` does not make, and
    ``RecursionError`` for deep nesting."""
    import json

    record = json.loads(data.decode("ascii"))
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - a file's fault, not a caller's
    object_class = CKO.__members__.get(_entry(record, "class", str))
    if object_class is None:
        raise ValueError("of an unknown class")
    private = _entry(record, "private", bool)
    values = {}
    for kind, text in _entry(record, "attributes", dict).items():
        if not _KIND.fullmatch(kind) or not isinstance(text, str):
            raise ValueError(f"attribute {kind[:20]!r} is not 0xTYPE and base64")
        values[int(kind, 16)] = base64.b64decode(text, validate=True)
    return restored_object(object_class, values, private=private, name=name)


def _entry(record: Mapping[str, Any], name: str, wanted: type) -> Any:
    value = record.get(name)
    if type(value) is not wanted:
        raise ValueError(f"{name!r} is missing or not of type {wanted.__name__}")
    return value
