"""Compare another OpenAPI document of the device with ours: ``python -m tools.compare_openapi FILE``.

FILE is JSON or YAML, such as the vendor's document for a firmware. Printed are the differences in operations,
whether a token is needed, fields of requests and of successful answers, and statuses, each as it stands in
``docs/development/openapi.md``, where it has a reason; ``?`` is before one that has none. Ends with 1 where
there is such a one, or a row of the page that is about nothing.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

__all__ = ["Difference", "Reason", "compare", "load", "main", "reasons", "unexplained"]

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "development" / "openapi.md"
_METHODS: Final = ("get", "post", "put", "patch", "delete", "head", "options")
_JSON: Final = "application/json"
#: What is compared of a field that both have: key of its schema → word.
_BOUNDS: Final = {"minLength": "at least", "maxLength": "at most", "minimum": "from", "maximum": "to"}


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """``where``: method and path, as ours where we have them; ``what``: in the page's words."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Reason:
    """A row of the page: ``where`` and ``what`` are patterns as of a shell."""

    where: tuple[str, ...]
    what: tuple[str, ...]
    why: str

    def explains(self, difference: Difference) -> bool:
        """Whether the row is about it."""
        return any(fnmatchcase(difference.where, each) for each in self.where) and any(
            fnmatchcase(difference.what, each) for each in self.what
        )


def load(path: Path) -> dict[str, Any]:
    """A document in a file. ``ValueError`` says that it is none."""
    text = path.read_text("utf-8")
    try:
        found = json.loads(text)
    except ValueError:
        import yaml

        try:
            found = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(f"{path}: neither JSON nor YAML: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("paths"), dict):
        raise ValueError(f"{path}: not an OpenAPI document: it has no paths")  # noqa: TRY004
    return found


def compare(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[Difference]:
    """All differences, in order."""
    mine, other = dict(_operations(ours)), dict(_operations(theirs))
    found: list[Difference] = []
    for place in sorted(mine.keys() | other.keys()):
        here, there = mine.get(place), other.get(place)
        if here is None or there is None:
            side, name = ("here", here.name) if here else ("there", there.name if there else "")
            found.append(Difference(name, f"operation {side}"))
        else:
            found += [Difference(here.name, what) for what in _between(here, there)]
    return sorted(found)


@dataclass(frozen=True, slots=True)
class _Operation:
    name: str
    raw: Mapping[str, Any]
    document: Mapping[str, Any]

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.name)

    @property
    def access(self) -> str:
        """Whether a token is needed."""
        wanted = self.raw.get("security", self.document.get("security", ()))
        if not wanted:
            return "none"
        return "optional" if {} in list(wanted) else "needed"

    @property
    def body(self) -> Mapping[str, Any]:
        return self._schema(self.raw.get("requestBody", {}))

    @property
    def answer(self) -> Mapping[str, Any]:
        return self._schema(self.raw["responses"].get("200", {}))

    @property
    def statuses(self) -> set[str]:
        return {str(self.resolved(each).get("x-status", key)) for key, each in self.raw["responses"].items()}

    def _schema(self, place: Mapping[str, Any]) -> Mapping[str, Any]:
        content = self.resolved(place).get("content", {})
        return self.resolved(content.get(_JSON, {}).get("schema", {}))

    def resolved(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a reference within the document is to."""
        while "$ref" in value:
            target: Any = self.document
            for part in value["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            value = target
        return value

    def fields(
        self, schema: Mapping[str, Any], before: str = ""
    ) -> Iterator[tuple[str, bool, Mapping[str, Any]]]:
        """Name, whether it is always there, and schema of each; those of objects inside as ``a.b``, of arrays
        as ``a[].b``."""
        for name, raw in schema.get("properties", {}).items():
            one = self.resolved(raw)
            yield f"{before}{name}", name in schema.get("required", ()), one
            items = self.resolved(one.get("items", {}))
            yield from self.fields(one, f"{before}{name}.")
            yield from self.fields(items, f"{before}{name}[].")


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], _Operation]]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                name = f"{method.upper()} {path}"
                yield (method, re.sub(r"\{\w+\}", "{}", path)), _Operation(name, item[method], document)


def _between(here: _Operation, there: _Operation) -> Iterator[str]:
    if here.parameters != there.parameters:
        yield f"parameters {', '.join(here.parameters)} here, {', '.join(there.parameters)} there"
    if here.access != there.access:
        yield f"token {here.access} here, {there.access} there"
    yield from _fields(here, here.body, there, there.body, "field")
    yield from _fields(here, here.answer, there, there.answer, "answer")
    for status in sorted(here.statuses ^ there.statuses):
        yield f"status {status} {'here' if status in here.statuses else 'there'}"


def _fields(
    here: _Operation, mine: Mapping[str, Any], there: _Operation, theirs: Mapping[str, Any], word: str
) -> Iterator[str]:
    left = {name: (needed, schema) for name, needed, schema in here.fields(mine)}
    right = {name: (needed, schema) for name, needed, schema in there.fields(theirs)}
    for name in sorted(left.keys() | right.keys()):
        if name not in left or name not in right:
            yield f"{word} {name} {'here' if name in left else 'there'}"
            continue
        (needed_here, one), (needed_there, other) = left[name], right[name]
        if needed_here != needed_there:
            always = "needed" if word == "field" else "always"
            yield f"{word} {name} {always} {'here' if needed_here else 'there'}"
        yield from (f"{word} {name} {each}" for each in _values(one, other))


def _values(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    if {"type"} <= one.keys() & other.keys() and one["type"] != other["type"]:
        yield f"{one['type']} here, {other['type']} there"
    for key, word in _BOUNDS.items():
        if key in one and key in other and one[key] != other[key]:
            yield f"{word} {one[key]} here, {other[key]} there"
    for side, listing, free in (("here", one, other), ("there", other, one)):
        if "enum" in listing and not free.keys() & {"enum", "pattern", "const"}:
            yield f"choices {side} alone"
    if "enum" in one and "enum" in other:
        mine, theirs = set(one["enum"]), set(other["enum"])
        for side, values in (("here", mine - theirs), ("there", theirs - mine)):
            if values:
                yield f"values {', '.join(json.dumps(each) for each in sorted(values))} {side}"


def reasons(text: str) -> list[Reason]:
    """The rows of the page's table: operations, differences, reason."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        if line.startswith("| `") and len(cells) == 3:
            where, what = (tuple(re.findall(r"`([^`]+)`", cell)) for cell in cells[:2])
            found.append(Reason(where, what, cells[2]))
    return found


def unexplained(differences: list[Difference], rows: list[Reason]) -> tuple[list[Difference], list[Reason]]:
    """Differences without a row, and rows without a difference."""
    bare = [each for each in differences if not any(row.explains(each) for row in rows)]
    idle = [row for row in rows if not any(row.explains(each) for each in differences)]
    return bare, idle


def main(arguments: list[str] | None = None) -> int:
    """Compare and tell."""
    parser = argparse.ArgumentParser(prog="compare_openapi", description=__doc__)
    parser.add_argument("file", type=Path, help="the other document")
    options = parser.parse_args(arguments)
    from hem_provider.emulator.openapi import document
    from hem_provider.emulator.quirks import Switches

    try:
        differences = compare(document(Switches({})), load(options.file))
    except (OSError, ValueError) as error:
        print(f"compare_openapi: {error}", file=sys.stderr)
        return 2
    bare, idle = unexplained(differences, reasons(PAGE.read_text("utf-8")))
    for each in differences:
        print(f"{'?' if each in bare else ' '} {each}")
    for row in idle:
        print(f"! a row about nothing: {' '.join(row.where)}: {'; '.join(row.what)}")
    print(f"{len(differences)} differences, {len(bare)} without a reason, {len(idle)} rows about nothing")
    return 1 if bare or idle else 0


if __name__ == "__main__":
    sys.exit(main())
