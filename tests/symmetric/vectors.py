"""Wycheproof test cases as flat rows with their bytes decoded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["Case", "cases"]

_FOLDER = Path(__file__).parents[1] / "vectors" / "wycheproof"
_BYTES = ("key", "iv", "aad", "msg", "ct", "tag")


@dataclass(frozen=True)
class Case:
    """One test; absent fields are empty. ``tag_size`` in bytes, where the group says one."""

    id: int
    comment: str
    valid: bool
    acceptable: bool
    tag_size: int
    key: bytes
    iv: bytes
    aad: bytes
    msg: bytes
    ct: bytes
    tag: bytes

    def __str__(self) -> str:
        return f"{self.id} {self.comment}"


@cache
def cases(name: str) -> tuple[Case, ...]:
    """All cases of one file; their number must be what the file says."""
    content = json.loads((_FOLDER / f"{name}_test.json").read_text())
    found = tuple(_read(content))
    assert len(found) == content["numberOfTests"] > 100
    return found


def _read(content: dict) -> Iterator[Case]:
    for group in content["testGroups"]:
        for test in group["tests"]:
            yield Case(
                test["tcId"],
                test["comment"],
                test["result"] != "invalid",
                test["result"] == "acceptable",
                group.get("tagSize", 0) // 8,
                *(bytes.fromhex(test.get(name, "")) for name in _BYTES),
            )
