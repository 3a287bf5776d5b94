"""The loop that takes entries from a copy to a receiver and moves the cursor on behind what was confirmed.

When it is killed between a confirmation and the cursor, those entries are sent again: a message has the
number of its entry, by which a receiver drops what it has already.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

from hem_provider.auditlog.copy import LogCopy
from hem_provider.auditlog.delivery.cursor import Cursor, Position
from hem_provider.auditlog.delivery.forms import FULL, Away, Form, Message, Receiver
from hem_provider.auditlog.entry import Entry
from hem_provider.errors import HemUnreachable
from hem_provider.records import mutable
from hem_provider.waiting import CLOCK

__all__ = ["Shipment", "ship"]

#: Entries, and bytes, that are sent before their confirmation is waited for.
_MOST_ENTRIES, _MOST_BYTES = 256, 256 * 1024
#: Seconds between two tries of a receiver that is away: the first and the longest.
_PAUSES = 0.5, 60.0


@mutable
class Shipment:
    """What became of it. ``sent``: entries that went out; ``again``: how many of them a second time;
    ``number``: the last that was confirmed."""

    sent: int = 0
    again: int = 0
    number: int = 0


def ship(
    copy: LogCopy,
    receiver: Receiver,
    form: Form,
    cursor: Cursor | None,
    start: Position,
    *,
    patience: float,
    every: float | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> Shipment:
    """Send what stands behind ``start``; with ``every`` (s) go on with what comes later, looking as often.

    ``cursor``: is moved on, if there is one. ``patience``: seconds that a receiver which is away is waited
    for, from when it was last there. ``told`` gets a line when one goes away, when it is back, and where
    entries are missing.
    ``HemUnreachable`` when patience is over; what the receiver raises; ``HemLogDamaged``, ``OSError``.
    """
    found = Shipment(number=start.number)
    voyage = _Voyage(copy, receiver, form, cursor, start, found, told)
    try:
        while True:
            _waited_for(voyage, voyage.catch_up, patience, told)
            if every is None:
                break
            voyage.wait_for_more(every)
        _waited_for(voyage, voyage.end, patience, told)
    finally:
        receiver.close()
    return found


def _waited_for(
    voyage: _Voyage, action: Callable[[], None], patience: float, told: Callable[[str], None]
) -> None:
    """Run it until the receiver is there all the way. What was confirmed on the way makes pauses short again;
    patience begins anew only when the receiver has got further than ever."""
    away = ""
    looks = CLOCK.looks(patience, *_PAUSES)
    while (left := next(looks, None)) is not None:
        confirmed, reached = voyage.confirmed, voyage.reached
        try:
            action()
        except Away as error:
            if not away:
                told(f"{error}; waiting for it")
            away = str(error)
            if voyage.confirmed > confirmed:
                looks = CLOCK.looks(patience if voyage.reached > reached else left, *_PAUSES)
                next(looks)  # this look was had
        else:
            if away:
                told("it is there again")
            return
    raise HemUnreachable(f"the receiver was away for {patience:g} s: {away}")


class _Voyage:
    """Where one shipment stands. Each action raises ``Away`` and can be run again. ``reached``: the furthest
    entry that was ever confirmed; ``confirmed``: how often something was."""

    def __init__(
        self,
        copy: LogCopy,
        receiver: Receiver,
        form: Form,
        cursor: Cursor | None,
        start: Position,
        found: Shipment,
        told: Callable[[str], None],
    ) -> None:
        self._copy, self._receiver, self._form, self._cursor = copy, receiver, form, cursor
        self._position, self._found = start, found
        self._furthest = self.reached = start.number
        self.confirmed = 0
        self._seen: object = None
        self._told = told
        self._returned = False
        self._written = True

    def catch_up(self) -> None:
        """Send all that is there."""
        self._write()  # there may have been no room for it
        self._seen = _state_of(self._copy)
        number = self._receiver.open(self._position.number)
        if number != self._position.number:
            self._move(number)
        try:
            for batch in _batches(self._present(number), self._form):
                self._send(*batch)
        except Away as error:
            self._go_back(error)
            raise

    def _present(self, after: int) -> Iterator[Entry]:
        """The entries behind one; of what was moved away before it was sent a line is told."""
        for each in self._copy.entries(after):
            if each.number > after + 1 and each.number > self._furthest:
                self._told(f"entries {after + 1} to {each.number - 1} are not in the copy any more")
            after = each.number
            yield each

    def _send(self, entries: list[Entry], messages: list[Message]) -> None:
        self._found.sent += len(messages)
        self._found.again += sum(each.number <= self._furthest for each in messages)
        self._furthest = max(self._furthest, messages[-1].number)
        self._receiver.send(messages)
        self.confirmed += 1
        self._set(Position.of(entries[-1]))

    def wait_for_more(self, every: float) -> None:
        """Return when the copy has more, at the earliest after ``every`` seconds, or the receiver went away:
        then it is to be caught up with."""
        try:
            while True:
                self._receiver.idle(every)
                if _state_of(self._copy) != self._seen:
                    return
        except Away as error:
            self._go_back(error)

    def end(self) -> None:
        """Wait until the receiver has taken everything."""
        if self._returned:
            self.catch_up()
        try:
            self._receiver.finish()
        except Away as error:
            self._returned = self._go_back(error)
            if self._returned:
                raise

    def _go_back(self, error: Away) -> bool:
        """Whether something that was confirmed may not have been read; it is sent again then."""
        doubtful = error.back_to is not None and error.back_to <= self._position.number
        if error.back_to is not None and doubtful:
            self._move(error.back_to - 1)
        return doubtful

    def _move(self, number: int) -> None:
        """Put the cursor behind another entry, which may have been moved away."""
        there = next(self._copy.entries(number - 1), None) if number > 0 else None
        if there is not None and there.number == number:
            self._set(Position.of(there))
        else:
            self._set(Position() if number <= 0 else Position(number, "", "0" * 64))

    def _set(self, position: Position) -> None:
        self._position = position
        self._found.number = position.number
        self.reached = max(self.reached, position.number)
        self._written = False
        self._write()

    def _write(self) -> None:
        if self._cursor is not None and not self._written:
            try:
                self._cursor.write(self._position)
            except OSError as error:
                if error.errno not in FULL:
                    raise
                raise Away(f"{self._cursor.path}: {error.strerror}") from None
        self._written = True


def _batches(entries: Iterable[Entry], form: Form) -> Iterator[tuple[list[Entry], list[Message]]]:
    """As many as are sent at once."""
    waiting: list[Entry] = []
    messages: list[Message] = []
    size = 0
    for each in entries:
        messages.append(Message(each.number, form.encode(each)))
        waiting.append(each)
        size += len(messages[-1].data)
        if len(messages) >= _MOST_ENTRIES or size >= _MOST_BYTES:
            yield waiting, messages
            waiting, messages, size = [], [], 0
    if messages:
        yield waiting, messages


def _state_of(copy: LogCopy) -> object:
    """What changes when something is appended to the copy: name, size and time of its newest file."""
    try:
        newest = max(
            (each for each in os.scandir(copy.folder) if each.name.endswith(".jsonl")),
            key=lambda each: each.name,
            default=None,
        )
        if newest is None:
            return None
        seen = newest.stat()
    except FileNotFoundError:
        return None
    return newest.name, seen.st_size, seen.st_mtime_ns
