"""What ``hem log follow`` does."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime

from hem_provider.auditlog.collecting import AWAY
from hem_provider.auditlog.copy import LogCopy, usual_folder
from hem_provider.auditlog.delivery.cursor import Cursor, Position
from hem_provider.auditlog.delivery.forms import FULL
from hem_provider.auditlog.entry import Entry
from hem_provider.auditlog.following import CopyFollower, DeviceFollower
from hem_provider.auditlog.hooks import Hook
from hem_provider.auditlog.rules import EVERY_EVENT, RuleBook, read_rules
from hem_provider.auditlog.source import HemSource
from hem_provider.auditlog.telling import Telling, told
from hem_provider.cli.log_collecting import SCOPE, Patience, looks
from hem_provider.cli.login import logged_in
from hem_provider.cli.saying import say
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import DONE, NotThere, UsageFault
from hem_provider.cli.ticks import mark
from hem_provider.config import DeviceConfig, load_config
from hem_provider.device.cache import DiskCache
from hem_provider.device.hem import Hem
from hem_provider.device.logwords import actor_kid, key_kid
from hem_provider.errors import HemAuthenticationError, HemConfigError, HemScopeDenied

__all__ = ["follow", "since_of"]

#: Seconds between two looks: at a device, where each is a call, and at a copy, where none is.
_DEVICE, _COPY = 300, 2
_AGO = re.compile("([0-9]{1,9})([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_ANEW = "without this file it begins with what is new"
_FORMS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S")


def follow(options: Given) -> int:
    """``hem log follow``: its exit status."""
    since = None if options.since is None else since_of(options.since, time.time())
    rules = RuleBook(read_rules(options.rules) if options.rules else [EVERY_EVENT])
    hook = None if options.exec is None else Hook(options.exec, shell=options.shell, seconds=options.limit)
    config = load_config().device(options.device)
    copy = LogCopy(options.copy or usual_folder(config.name))
    collected = copy.holder() is not None
    kept = options.copy is not None or options.name is not None
    if kept and not collected and not copy.days():
        raise NotThere(f"{copy.folder}: no copy of a log; hem log collect makes one")
    from_copy = collected or kept
    names = _Names(config)
    place = None if options.name is None else _Place(copy, options.name)
    printer = _Printer(options, names, rules, hook, place)
    with ExitStack() as stack:
        if from_copy:
            after = None if place is None else place.begin(stack)
            found = _from_copy(config, CopyFollower(copy, since, after), copy, options.every or _COPY)
        else:
            found = _from_device(config, since, stack, names, options)
        for entries in found:
            printer.print(entries)
            if options.once:
                break
    if hook is not None and hook.failures:
        say(f"{config.name}: the command has failed {hook.failures} of {hook.runs} times")
    return DONE


def since_of(text: str, now: float) -> float:
    """The moment that ``--since`` means, in Unix seconds. ``UsageFault``."""
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now - int(ago[1]) * _UNITS[ago[2]]
    for form in _FORMS:
        with suppress(ValueError):
            return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
    raise UsageFault(
        f"--since: {text!r}; accepted: 90s, 15m, 2h, 7d, or a time in UTC: 2026-01-31, 2026-01-31T12:00:00Z"
    )


def _from_copy(
    config: DeviceConfig, follower: CopyFollower, copy: LogCopy, every: int
) -> Iterator[Iterable[Entry]]:
    patience = Patience(config.name, every)
    say(f"{config.name}: new events of the copy in {copy.folder}; the device is not asked")
    for _ in looks(every, patience):
        yield follower.new()


def _from_device(
    config: DeviceConfig, since: float | None, stack: ExitStack, names: _Names, options: Given
) -> Iterator[Iterable[Entry]]:
    every = options.every or _DEVICE
    follower, patience = DeviceFollower(since), Patience(config.name, every, lasting=not options.once)
    warned = False
    for _ in looks(every, patience):
        with patience:
            try:
                if names.hem is None:
                    login = logged_in(config.name, mobile=options.mobile, scope=SCOPE)
                    names.hem = stack.enter_context(login)
                follower.new(HemSource(names.hem))
            except AWAY as error:
                if not options.once:
                    follower.away(error)  # of a login; that a look failed is noted already
                    yield follower.taken()
                raise
        if follower.shut and not warned:
            warned = True
            say(
                f"{config.name}: this firmware shows a log file only when a restart has closed it; what "
                "happens until then is told then"
            )
        yield follower.taken()


class _Names:
    """Labels of keys and phones: as remembered, and where that is not enough as the device lists them, which
    takes a login, once for each that is new."""

    def __init__(self, config: DeviceConfig) -> None:
        self._config = config
        self._asked: set[str] = set()
        #: The device, once it is logged in; without one it is not asked.
        self.hem: Hem | None = None

    def of(self, entries: Iterable[Entry]) -> dict[str, str]:
        """KID → label, of what the entries name."""
        records = [each.record for each in entries if each.record is not None]
        wanted = {kid for each in records for kid in (actor_kid(each), key_kid(each)) if kid is not None}
        found = self._remembered() if wanted else {}
        unknown = wanted - set(found) - self._asked
        if unknown and self.hem is not None:
            self._asked |= unknown
            with suppress(HemAuthenticationError, HemScopeDenied, *AWAY):
                found |= {each.kid: each.label for each in self.hem.keys}
        return found

    def _remembered(self) -> dict[str, str]:
        listing = DiskCache(self._config.url).listing()
        return {each.kid: each.label for each in listing.records} if listing is not None else {}


class _Place:
    """How far events of a copy were told, over restarts, under a ``name``; ``UsageFault`` for none."""

    def __init__(self, copy: LogCopy, name: str) -> None:
        try:
            self._cursor = Cursor(copy, name, folder="followers", anew=_ANEW)
        except HemConfigError as error:
            raise UsageFault(str(error)) from None
        self._copy = copy
        self._full = False

    def begin(self, stack: ExitStack) -> int:
        """Keep it, as long as ``stack`` lasts; behind which entry to go on: at first the last there is."""
        stack.enter_context(self._cursor.held())
        if not os.path.lexists(self._cursor.path):
            last = self._copy.last()
            self._cursor.write(Position() if last is None else Position.of(last))
        return self._cursor.read().number

    def told(self, entry: Entry) -> None:
        """Go on behind it after a restart. A full disk ends nothing: what is told now is told again then."""
        try:
            self._cursor.write(Position.of(entry))
        except OSError as error:
            if error.errno not in FULL:
                raise
            if not self._full:
                say(f"{self._cursor.path}: {error.strerror}; after a restart events are told again")
            self._full = True
        else:
            self._full = False


class _Printer:
    """Prints events, and tells a command of those that rules are of; ``place``: what keeps how far it got."""

    def __init__(
        self, options: Given, names: _Names, rules: RuleBook, hook: Hook | None, place: _Place | None
    ) -> None:
        self._json, self._names, self._rules, self._hook = options.json, names, rules, hook
        self._place = place

    def print(self, entries: Iterable[Entry]) -> None:
        """Print what has come, at once, and run the command."""
        batch: list[Entry] = []
        for each in entries:
            batch.append(each)
            if len(batch) >= 1000:
                self._batch(batch)
                batch = []
        self._batch(batch)

    def _batch(self, entries: list[Entry]) -> None:
        labels = self._names.of(entries)
        for entry in entries:
            event = told(entry, labels)
            print(json.dumps(event.document()) if self._json else _line(event), flush=True)
            ran = False
            if self._hook is not None:
                for rule, left_out in self._rules.matches(event):
                    self._hook.run(rule, left_out, event)
                    ran = True
            if self._place is not None and (ran or entry is entries[-1]):
                self._place.told(entry)


def _line(event: Telling) -> str:
    words = event.told
    sign = f"  {mark(False)}" if event.genuine is False else ""
    what = f"{words.what}  {words.key}" if words.key else words.what
    return f"{words.time}  {words.who:14}  {what}  {words.result}{sign}".rstrip()
