"""The files of a copy: one for each day (UTC) on which something was collected, ``YYYY-MM-DD.jsonl``.

Files of past days may have been packed by ``gzip`` or ``xz``, with a number in the name if logrotate did it,
or moved away.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from hem_provider.auditlog.entry import Head, unchained
from hem_provider.errors import HemLogDamaged
from hem_provider.files import open_own
from hem_provider.records import frozen

__all__ = ["MOST_LINE", "Day", "days_in", "is_day", "name_of", "number_of", "opened", "whole_lines"]

_NAME = re.compile(r"(?P<day>\d{4}-\d\d-\d\d)\.jsonl(?:\.\d+)?(?P<packed>\.gz|\.xz)?")
#: Longer lines are damage, in bytes: the longest file of a device is one line of 64 MiB at worst, and each
#: byte that is no text takes six.
MOST_LINE = 400 * 1024 * 1024
_NUMBER = re.compile(rb'\{"number":(\d{1,18}),')
#: Bytes that are read through rather than searched.
_NEAR = 64 * 1024


@frozen
class Day:
    """A file of the copy with its head. ``packed``: by which program, as the name's end tells; empty for a
    file as it was written. ``chain``: that of the head."""

    day: str
    path: Path
    packed: str
    head: Head
    chain: str


def name_of(day: str) -> str:
    """The name of a day's file."""
    return f"{day}.jsonl"


def is_day(name: str) -> bool:
    """Whether a file of this name is one of a copy's.

    >>> is_day("2026-01-31.jsonl.1.gz"), is_day("state.json")
    (True, False)
    """
    return _NAME.fullmatch(name) is not None


def days_in(folder: Path, *, unreadable: Callable[[HemLogDamaged], None] | None = None) -> list[Day]:
    """The files in ``folder``, in the order of their entries; files without a whole line are left out.

    A packed file beside the one that it was made from is left out, too: a program was stopped there.
    ``HemLogDamaged`` for a file without a head, or ``unreadable`` is told of it and it is left out;
    ``OSError``.
    """
    found = []
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names alone are wanted
    except FileNotFoundError:
        return []
    plain = {name for name in names if name.endswith(".jsonl")}
    for name in names:
        named = _NAME.fullmatch(name)
        if named is None:
            continue
        path, packed = folder / name, named["packed"] or ""
        try:
            day = _day(named["day"], path, packed)
        except HemLogDamaged as error:
            if packed and name_of(named["day"]) in plain:
                continue
            if unreadable is None:
                raise
            unreadable(error)
            continue
        if day is not None:
            found.append(day)
    found.sort(key=lambda each: (each.head.after, each.day, not each.packed))
    originals = {each.head for each in found if not each.packed}
    return [each for each in found if not each.packed or each.head not in originals]


def _day(day: str, path: Path, packed: str) -> Day | None:
    with opened(path, packed) as file:
        line = next(whole_lines(file, path), None)
    if line is None:
        return None
    try:
        values, _ = unchained(line, None)
        head = Head.read(values)
        _, chain = unchained(line, head.before)
    except ValueError as error:
        raise HemLogDamaged(f"{path}, line 1: {error}") from None
    return Day(day, path, packed, head, chain)


@contextmanager
def opened(path: Path, packed: str) -> Iterator[IO[bytes]]:
    """The content of a file, unpacked. ``HemLogDamaged`` where it cannot be unpacked, while it is read, too;
    ``OSError``."""
    with os.fdopen(open_own(path, os.O_RDONLY), "rb") as file:
        if not packed:
            yield file
            return
        import gzip  # few copies have packed files
        import lzma

        try:
            with gzip.open(file) if packed == ".gz" else lzma.open(file) as unpacking:
                yield cast("IO[bytes]", unpacking)
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
            raise HemLogDamaged(f"{path}: cannot be unpacked: {error}") from None


def whole_lines(file: IO[bytes], path: Path) -> Iterator[bytes]:
    """The lines from here on; one that has no end yet is being written, or was torn, and is left out."""
    while line := file.readline(MOST_LINE):
        if line[-1:] != b"\n":
            if len(line) >= MOST_LINE:
                raise HemLogDamaged(f"{path}: a line of more than {MOST_LINE} bytes")
            return
        yield line


def number_of(line: bytes, otherwise: int) -> int:
    """The number of the entry that a line is, without reading all of it; ``otherwise`` where it is none."""
    number = _NUMBER.match(line)
    return otherwise if number is None else int(number[1])


def seek(file: IO[bytes], size: int, after: int) -> None:
    """Go to the beginning of a line that does not stand behind entry ``after``, near it, in a file that is
    not packed and is of ``size`` bytes."""
    low, high = 0, size
    while high - low > _NEAR:
        middle = (low + high) // 2
        file.seek(middle)
        file.readline(MOST_LINE)
        here = file.tell()
        number = _NUMBER.match(file.readline(64))
        if here >= high or number is None:
            high = middle
        elif int(number[1]) <= after:
            low = here
        else:
            high = middle
    file.seek(low)
