"""Changing the configuration file: comments and everything that is not meant survive.

::

    url = Change("url", "https://my.ence.do", device="office")
    edit(path, [url, Change("ca_file", None, device="office")])

Only the table that a change is in is written anew (``tomlkit`` alone would move arrays of tables that
others stand between). The new file is held against what was meant and what is accepted before it takes the
place of the old one, whole or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hem_provider.config.model import Config
from hem_provider.config.places import is_there
from hem_provider.config.tables import DEFAULTS
from hem_provider.config.toml_file import parse_config, read_bytes
from hem_provider.errors import HemConfigError
from hem_provider.files import folder_lock, make_folders, replace_file, sweep
from hem_provider.records import frozen

__all__ = ["Change", "edit"]

#: Of a file that is made: where secrets are found is told to nobody.
_MODE = 0o600
#: Seconds that other changes may take.
_PATIENCE = 10.0
_HEADER = re.compile(r"^[ \t]*\[", re.MULTILINE)
#: The end of a table that is left alone: what stands there is on the next one, or nothing.
_TAIL = re.compile(r"(?:^[ \t]*(?:#[^\n]*)?(?:\n|\Z))+\Z", re.MULTILINE)


@frozen
class Change:
    """A setting and its new value as TOML has it; ``None`` takes it away. ``device``: the name of the
    ``[[device]]`` that it is of, which is added where there is none of this name; ``None``: of ``[pkcs11]``.
    """

    setting: str
    value: object | None
    device: str | None = None


def edit(path: Path, changes: Sequence[Change]) -> Config:
    """Make ``changes`` in the file at ``path``, which is made (0600) where it is missing; what it says then.

    A file that is there keeps its permissions, a link leads where it led. ``HemConfigError``: the file
    cannot be used, or could not be with these changes, or another program has changed it meanwhile; it is
    as it was then. ``OSError``, also ``TimeoutError``: others have changed it for long.
    """
    place = path.resolve() if is_there(path) else path
    make_folders(place.parent)
    with folder_lock(place.parent, _PATIENCE):
        return _edit(path, place, changes)


def _edit(path: Path, place: Path, changes: Sequence[Change]) -> Config:
    """What ``edit`` does where no other of its kind is at work."""
    import tomllib

    former = read_bytes(place) if is_there(place) else None
    if former is not None:
        parse_config(path, former)
    text = (former or b"").decode("utf-8")
    lines = "\r\n" if "\r\n" in text else "\n"
    text = text.replace("\r\n", "\n")
    meant = tomllib.loads(text)
    for change in changes:
        text = _changed(path, text, change)
        _apply(meant, change)
    data = text.replace("\n", lines).encode("utf-8")
    try:
        done = tomllib.loads(text) == meant
    except ValueError:
        done = False
    if not done:
        raise HemConfigError(
            f"{path}: is written in a way that is not changed here; change it by hand: "
            + ", ".join(each.setting for each in changes)
        )
    config = parse_config(path, data)
    if data != former:
        _put(path, place, data, former)
    return config


def _apply(document: dict[str, Any], change: Change) -> None:
    """What a change is to do, without the text."""
    if change.device is None:
        table = document.setdefault("pkcs11", {})
    else:
        devices = document.setdefault("device", [])
        table = next((each for each in devices if _name(each) == change.device), None)
        if table is None:
            table = {"name": change.device}
            devices.append(table)
    if change.value is None:
        table.pop(change.setting, None)
    else:
        table[change.setting] = change.value


def _name(table: dict[str, Any]) -> object:
    return table.get("name", DEFAULTS["name"])


def _changed(path: Path, text: str, change: Change) -> str:
    import tomllib

    from tomlkit.exceptions import TOMLKitError

    header: dict[str, object] = {"pkcs11": {}} if change.device is None else {"device": [{}]}
    try:
        for start, end in _tables(text):
            first, _, rest = text[start:end].partition("\n")
            body = tomllib.loads(rest)
            if tomllib.loads(first) != header or change.device not in (None, _name(body)):
                continue
            tail = _TAIL.search(rest)
            last = len(rest) if tail is None else tail.start()
            new = _with(rest[:last], change)
            return f"{text[:start]}{first}\n{new}{rest[last:]}{text[end:]}"
        added = "[pkcs11]\n" if change.device is None else f"[[device]]\nname = {_written(change.device)}\n"
        if text and not text.endswith("\n"):
            text += "\n"
        return f"{text}{chr(10) if text else ''}{added}{_with('', change)}"
    except (TOMLKitError, TypeError, ValueError) as error:
        raise HemConfigError(f"{path}: {change.setting!r} cannot be written: {error}") from None


def _written(value: object) -> str:
    import tomlkit

    return tomlkit.item(value).as_string()


def _with(body: str, change: Change) -> str:
    """The lines of a table with the change."""
    import tomlkit

    table = tomlkit.parse(body if not body or body.endswith("\n") else f"{body}\n")
    if change.value is None:
        table.pop(change.setting, None)
    else:
        value = change.value
        if isinstance(value, dict):  # else it would become a table of the whole file
            inline = tomlkit.inline_table()
            inline.update(value)
            value = inline
        table[change.setting] = value
    return tomlkit.dumps(table)


def _tables(text: str) -> Iterator[tuple[int, int]]:
    """Where tables with a header begin and end. A line that looks like one inside of a value is none: what
    stands before it is no whole TOML."""
    import tomllib

    starts = []
    for found in _HEADER.finditer(text):
        with suppress(ValueError):
            tomllib.loads(text[: found.start()])
            starts.append(found.start())
    ends = [*starts, len(text)]
    yield from zip(starts, ends[1:], strict=True)


def _put(path: Path, place: Path, data: bytes, former: bytes | None) -> None:
    seen = place.stat() if former is not None else None
    if (read_bytes(place) if is_there(place) else None) != former:
        raise HemConfigError(f"{path}: was changed by another program meanwhile; nothing was written")
    sweep(place.parent, place.name)
    replace_file(place, data, mode=_MODE, like=seen)
