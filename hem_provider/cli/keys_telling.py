"""Keys as ``hem keys`` tells of them: lines, rows of a table, and the documents of ``--json``."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

from hem_provider.cli.output import print_json, timestamp
from hem_provider.device.description import maker_of
from hem_provider.device.key import Key
from hem_provider.device.usage import usages_of
from hem_provider.errors import HemOperationFailed
from hem_provider.keys.publicforms import pem
from hem_provider.printable import printable

__all__ = ["age", "lines_of", "maker", "print_all", "print_changed", "print_one"]

#: Seconds → what an age is told in, the largest that fits.
_AGES = ((31_557_600, "year"), (2_629_800, "month"), (86_400, "day"), (3_600, "hour"), (60, "minute"))


def print_all(device: str, keys: Iterable[Key], *, as_json: bool, none: str) -> None:
    """A table of keys, by label; ``none``: what is said where there is no key."""
    ordered = sorted(keys, key=lambda each: (each.label.casefold(), each.kid))
    if as_json:
        print_json({"device": device, "keys": [_document(each) for each in ordered]})
    elif ordered:
        from hem_provider.cli.drawing import draw

        head = ("label", "type", "use", "made by", "age", "KID")
        draw(head, [_row(each) for each in ordered], spare=("made by", "age", "use", "type"))
    else:
        print(none, file=sys.stderr)


def print_one(device: str, key: Key, *, as_json: bool) -> None:
    """All that is known of a key, with its public half."""
    document = {"device": device, **_document(key), "public_key": _pem_or_none(key)}
    if as_json:
        print_json(document)
        return
    for name, value in lines_of(key):
        print(f"{name:10}{value}")
    print(f"{'created':10}{document['created']}")
    print(f"{'changed':10}{document['updated']}")
    if document["public_key"] is not None:
        print(document["public_key"], end="")


def print_changed(device: str, key: Key, change: str, *, as_json: bool, before: str | None = None) -> None:
    """What became of a key: ``change`` is the word of ``keys-change.json``; ``before``: its label before."""
    if as_json:
        print_json(
            {
                "device": device,
                "change": change,
                "label": key.label,
                "label_before": before,
                "kid": key.kid,
                "type": key.type.name,
                "usages": _usages(key),
            }
        )
        return
    for name, value in lines_of(key):
        print(f"{name:10}{value}")


def lines_of(key: Key) -> Iterator[tuple[str, str]]:
    """What a key is, without what would have to be asked for after it was made."""
    yield "label", printable(key.label)
    yield "KID", key.kid
    yield "type", key.type.name
    yield "use", ", ".join(_usages(key)) or "none here: only the public half is on the device"
    yield "made by", maker(key)


def maker(key: Key) -> str:
    """Who made a key, in words."""
    return maker_of(key.descr) or "an unknown application"


def age(seconds: float) -> str:
    """In the largest unit that fits."""
    for size, name in _AGES:
        number = int(seconds // size)
        if number >= 1:
            return f"{number} {name}{'s' if number > 1 else ''}"
    return "now"


def _document(key: Key) -> dict[str, Any]:
    """As the schemas in ``docs/schemas`` say."""
    return {
        "label": key.label,
        "kid": key.kid,
        "type": key.type.name,
        "usages": _usages(key),
        "private": key.attributes.usable,
        "made_by": maker_of(key.descr),
        "created": timestamp(key.created),
        "updated": timestamp(key.updated),
    }


def _usages(key: Key) -> list[str]:
    return sorted(usages_of(key.type, key.attributes, key.family_mark))


def _row(key: Key) -> tuple[str, ...]:
    use = ", ".join(_usages(key)) or "public half"
    return key.label, key.type.name, use, maker_of(key.descr) or "?", age(time.time() - key.created), key.kid


def _pem_or_none(key: Key) -> str | None:
    try:
        return pem(key).decode()
    except HemOperationFailed:  # it has none
        return None
