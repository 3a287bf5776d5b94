"""What the actions of ``hem keys`` do."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from hem_provider.cli.choosing import named_key
from hem_provider.cli.login import logged_in
from hem_provider.cli.output import check_target, print_json, write
from hem_provider.cli.shape import Given
from hem_provider.device.description import maker_of
from hem_provider.device.key import Key
from hem_provider.device.usage import usages_of
from hem_provider.errors import HemOperationFailed
from hem_provider.keys.publicforms import FORMS, pem

__all__ = ["public", "show", "show_all"]

#: Seconds → what an age is told in, the largest that fits.
_AGES = ((31_557_600, "year"), (2_629_800, "month"), (86_400, "day"), (3_600, "hour"), (60, "minute"))


def show_all(options: Given) -> int:
    """``hem keys list``: its exit status."""
    with logged_in(options.device, mobile=options.mobile) as hem:
        keys = sorted(hem.keys, key=lambda each: (each.label.casefold(), each.kid))
        if options.json:
            print_json({"device": hem.config.name, "keys": [_document(each) for each in keys]})
            return 0
        rows = [_row(each) for each in keys]
    if rows:
        from hem_provider.cli.drawing import draw

        draw(("label", "type", "use", "made by", "age", "KID"), rows, spare=("made by", "age", "use", "type"))
    else:
        print(f"{hem.config.name} has no keys.", file=sys.stderr)
    return 0


def show(options: Given) -> int:
    """``hem keys show``: its exit status."""
    with logged_in(options.device, mobile=options.mobile) as hem:
        key = named_key(hem, options.key)
        document = {"device": hem.config.name, **_document(key), "public_key": _pem_or_none(key)}
    if options.json:
        print_json(document)
        return 0
    for name, value in _described(key, document):
        print(f"{name:10}{value}")
    if document["public_key"] is not None:
        print(document["public_key"], end="")
    return 0


def public(options: Given) -> int:
    """``hem keys public``: its exit status."""
    form = FORMS[options.format]
    check_target(options.output, force=options.force, binary=form.binary, what=f"--format {options.format}")
    with logged_in(options.device, mobile=options.mobile) as hem:
        data = form.make(named_key(hem, options.key))
    write(data, options.output)
    return 0


def _document(key: Key) -> dict[str, Any]:
    """As the schemas in ``docs/schemas`` say."""
    return {
        "label": key.label,
        "kid": key.kid,
        "type": key.type.name,
        "usages": _usages(key),
        "private": key.attributes.usable,
        "made_by": maker_of(key.descr),
        "created": _moment(key.created),
        "updated": _moment(key.updated),
    }


def _usages(key: Key) -> list[str]:
    return sorted(usages_of(key.type, key.attributes, key.family_mark))


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _age(seconds: float) -> str:
    for size, name in _AGES:
        number = int(seconds // size)
        if number >= 1:
            return f"{number} {name}{'s' if number > 1 else ''}"
    return "now"


def _row(key: Key) -> tuple[str, ...]:
    use = ", ".join(_usages(key)) or "public half"
    return key.label, key.type.name, use, maker_of(key.descr) or "?", _age(time.time() - key.created), key.kid


def _pem_or_none(key: Key) -> str | None:
    try:
        return pem(key).decode()
    except HemOperationFailed:  # it has none
        return None


def _described(key: Key, document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "label", key.label
    yield "KID", key.kid
    yield "type", document["type"]
    yield "use", ", ".join(document["usages"]) or "none here: only the public half is on the device"
    yield "made by", document["made_by"] or "an unknown application"
    yield "created", document["created"]
    yield "changed", document["updated"]
