"""How far a target, or who is told of events, has got: a small file beside the copy, replaced as a whole.

It says after which entry to go on, and by its SHA-256 which entry that was, so that a cursor of another copy
is noticed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from hem_provider.auditlog.copy import LogCopy
from hem_provider.auditlog.entry import Entry
from hem_provider.errors import HemConfigError
from hem_provider.files import make_private, open_own, release_lock, replace_file, sweep, take_lock
from hem_provider.records import frozen

__all__ = ["Cursor", "Position"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHA256 = re.compile("[0-9a-f]{64}")
#: Bytes of a cursor at most.
_MOST = 4096
_FORM = 1
_ANEW = "--after NUMBER goes on behind that entry all the same, --after 0 sends all"


@frozen
class Position:
    """The last entry that was confirmed: its ``number`` (0: none), whose log it is, and its SHA-256."""

    number: int = 0
    device: str = ""
    entry: str = ""

    @classmethod
    def of(cls, entry: Entry) -> Position:
        """That of an entry."""
        return cls(entry.number, entry.device, _digest(entry))


class Cursor:
    """The cursor called ``name`` of a copy. Constructing does no I/O; ``HemConfigError`` for a name that is
    none: letters, digits and ``._-``, 100 at most, a letter or digit first.

    ``folder``: in the copy; cursors of one name in two folders are two. ``anew``: how one goes on without it,
    for errors.
    """

    def __init__(self, copy: LogCopy, name: str, *, folder: str = "cursors", anew: str = _ANEW) -> None:
        if not _NAME.fullmatch(name):
            raise HemConfigError(
                f"--name: {name[:120]!r}; accepted: 1 to 100 letters, digits, dots, '_' and '-', "
                "of which the first is a letter or a digit"
            )
        self.name = name
        self._copy = copy
        self._anew = anew
        self._folder = copy.folder / folder
        self.path = self._folder / f"{name}.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep others from it. ``HemConfigError`` where another process goes by it; ``OSError``. Where no
        cursor came of it, its lock does not stay either."""
        make_private(self._folder)
        sweep(self._folder, self.path.name)
        lock = self._folder / f"{self.name}.lock"
        try:
            handle = take_lock(lock, "the lock of a cursor", 0)
        except TimeoutError:
            raise HemConfigError(
                f"{self.path}: another process goes by this cursor; give this one another --name"
            ) from None
        try:
            yield
        finally:
            if not os.path.lexists(self.path):
                # While it is held: who has opened it finds out that it has this name no more.
                with suppress(OSError):
                    lock.unlink()
            release_lock(handle)

    def read(self) -> Position:
        """Where it stands; at the beginning where there is none yet.

        ``HemConfigError`` for a file that is no cursor, and for one that does not stand in this copy.
        """
        try:
            with os.fdopen(open_own(self.path, os.O_RDONLY), "rb") as file:
                content = file.read(_MOST + 1)
        except FileNotFoundError:
            return Position()
        found = self._read(content)
        if found.number:
            self._check(found)
        return found

    def write(self, position: Position) -> None:
        """Make it last. ``OSError``."""
        document = {
            "cursor": _FORM,
            "number": position.number,
            "device": position.device,
            "entry": position.entry,
        }
        replace_file(self.path, json.dumps(document).encode("ascii") + b"\n")

    def _read(self, content: bytes) -> Position:
        try:
            values: Any = json.loads(content) if len(content) <= _MOST else None
        except (ValueError, RecursionError):
            values = None
        if (
            not isinstance(values, dict)
            or values.get("cursor") != _FORM
            or type(values.get("number")) is not int
            or not 0 <= values["number"] < 1 << 63
            or not isinstance(values.get("device"), str)
            or not isinstance(values.get("entry"), str)
            or bool(values["number"]) != bool(_SHA256.fullmatch(values["entry"]))
        ):
            raise HemConfigError(f"{self.path}: this is no cursor ({len(content)} bytes); {self._anew}")
        return Position(values["number"], values["device"], values["entry"])

    def _check(self, position: Position) -> None:
        last = self._copy.last()
        if last is None or position.number > last.number:
            end = f"ends with entry {last.number}" if last is not None else "is empty"
            raise HemConfigError(
                f"{self.path}: it stands at entry {position.number}, but the copy {end}: entries were lost, "
                f"or it is the cursor of another copy; {self._anew}"
            )
        there = next(self._copy.entries(position.number - 1), None)
        # A file of past days may have been moved away; then the device alone can be compared.
        if there is None or there.number != position.number:
            same = there is None or position.device in ("", there.device)
        else:
            same = _digest(there) == position.entry
        if not same:
            raise HemConfigError(
                f"{self.path}: entry {position.number} of this copy is not the one that was sent: it is the "
                f"cursor of another copy; {self._anew}"
            )


def _digest(entry: Entry) -> str:
    return hashlib.sha256(entry.body()).hexdigest()
