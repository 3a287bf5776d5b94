"""Rules of a TOML file: which events a command is told of.

::

    [[rule]]
    name = "somebody tries what he may not"
    event = ["FAILED_SCOPE_CHECK", 12, "gap"]   # names or numbers of the device, or own events
    result = ["failed", "error"]
    who = ["user", "phone *"]                   # patterns, as ``hem log follow`` prints them
    key = ["prod-*"]                            # patterns of labels; of KIDs where there is no label
    at_most = 5                                 # so often within ``per`` seconds
    per = 3600

A rule without a condition fits every event; a condition fits where any of its values does, and all must.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from hem_provider.auditlog.entry import OWN_EVENTS
from hem_provider.auditlog.telling import Telling
from hem_provider.config.toml_file import Document, parse_document, read_bytes
from hem_provider.device.auditlog import Event
from hem_provider.errors import HemConfigError
from hem_provider.records import frozen

__all__ = ["EVERY_EVENT", "Rule", "RuleBook", "read_rules"]

_MOST, _LONGEST = 1_000_000, 7 * 86400
_RESULTS = ("ok", "failed", "error", "noticed", "no record")
#: Who events are of (``telling.told``); phones have a label or a KID behind the word.
_WHO, _PHONE = ("user", "administrator", "the device", "hem"), "phone "
_PATTERN = re.compile(r"[*?\[]")
_EVENTS = {**{each.name: each.name for each in Event}, **{name: name for name in OWN_EVENTS}}


@frozen
class Rule:
    """One rule; empty conditions fit everything. ``events`` are names (``telling.name_of``); ``at_most``: 0
    for no limit; ``per`` is in seconds."""

    name: str
    events: frozenset[str] = frozenset()
    results: frozenset[str] = frozenset()
    who: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    at_most: int = 0
    per: int = 3600

    def fits(self, event: Telling) -> bool:
        """Whether it is of this event."""
        told = event.told
        return (
            (not self.events or event.name in self.events)
            and (not self.results or told.result in self.results)
            and (not self.who or any(fnmatchcase(told.who, each) for each in self.who))
            and (not self.keys or any(fnmatchcase(told.key, each) for each in self.keys if told.key))
        )


#: What counts where no file is given.
EVERY_EVENT = Rule("every event")


class RuleBook:
    """Rules, and how often each was of an event lately. ``clock``: seconds that only grow."""

    def __init__(self, rules: Sequence[Rule], clock: Callable[[], float] = time.monotonic) -> None:
        self._rules, self._clock = rules, clock
        self._when: dict[str, deque[float]] = {each.name: deque() for each in rules}
        self._left_out = dict.fromkeys(self._when, 0)

    def matches(self, event: Telling) -> Iterator[tuple[Rule, int]]:
        """The rules that an event is to be told for, and how many events each has left out since the last
        that it told, since there were too many."""
        now = self._clock()
        for rule in self._rules:
            if not rule.fits(event):
                continue
            when = self._when[rule.name]
            while when and now - when[0] >= rule.per:
                when.popleft()
            if rule.at_most and len(when) >= rule.at_most:
                self._left_out[rule.name] += 1
                continue
            if rule.at_most:
                when.append(now)
            left_out, self._left_out[rule.name] = self._left_out[rule.name], 0
            yield rule, left_out


def read_rules(path: Path) -> list[Rule]:
    """The rules of a file that nobody else may write. ``HemConfigError`` names file, line, what was found and
    what is accepted."""
    document = parse_document(path, read_bytes(path))
    for name in document.content:
        if name != "rule":
            line = document.line(None, 0, name)
            raise HemConfigError(f"{path}, line {line}: unknown setting {name!r}; accepted: [[rule]]")
    tables = document.content.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise HemConfigError(f"{path}: write each rule as a [[rule]] table")
    if not tables:
        raise HemConfigError(f"{path}: there is no [[rule]] in it")
    rules = [_rule(document, number, table) for number, table in enumerate(tables)]
    names = [each.name for each in rules]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise HemConfigError(f"{document.place('rule', number, 'name')}: two rules are called {name!r}")
    return rules


def _rule(document: Document, number: int, table: Mapping[str, Any]) -> Rule:
    def place(setting: str) -> str:
        return document.place("rule", number, setting)

    for setting in table:
        if setting not in _SETTINGS:
            raise HemConfigError(
                f"{place(setting)}: unknown setting of a rule; accepted: {', '.join(_SETTINGS)}"
            )
    if "name" not in table:
        raise HemConfigError(f"{place('name')}: each rule needs a name")
    values = {
        _SETTINGS[setting][0]: _SETTINGS[setting][1](value, place(setting))
        for setting, value in table.items()
    }
    if "per" in table and "at_most" not in table:
        raise HemConfigError(f"{place('per')}: it says nothing without 'at_most'; give both, or neither")
    return Rule(**values)


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise HemConfigError(f"{place}: {value!r} is no text of one line")
    return value


def _texts(value: Any, place: str) -> tuple[str, ...]:
    return tuple(_text(each, place) for each in _listed(value, place))


def _actors(value: Any, place: str) -> tuple[str, ...]:
    found = _texts(value, place)
    for each in found:
        begins = _PATTERN.split(each, maxsplit=1)[0]
        phone = _PHONE.startswith(begins) if begins != each else False
        if not (phone or each.startswith(_PHONE) or any(fnmatchcase(who, each) for who in _WHO)):
            meant = get_close_matches(each, _WHO, n=1, cutoff=0.5)
            advice = f"did you mean {meant[0]}? " if meant else ""
            raise HemConfigError(
                f"{place}: {each!r} fits nobody; {advice}accepted: {', '.join(_WHO)}, phone *, and patterns "
                "of these"
            )
    return found


def _listed(value: Any, place: str) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise HemConfigError(f"{place}: an empty list fits nothing; leave the setting out to fit all")
    return values


def _events(value: Any, place: str) -> frozenset[str]:
    return frozenset(_event(each, place) for each in _listed(value, place))


def _event(value: Any, place: str) -> str:
    if type(value) is int and 0 <= value < 1 << 32:
        return Event(value).name if value in set(Event) else f"EVENT_{value}"
    if isinstance(value, str) and value in _EVENTS:
        return value
    meant = get_close_matches(str(value), _EVENTS, cutoff=0.5)
    advice = (
        f"did you mean {' or '.join(meant)}?" if meant else "accepted: numbers, names as CRYPTO_EXDSA_SIGN"
    )
    raise HemConfigError(f"{place}: {value!r} is no event; {advice}")


def _results(value: Any, place: str) -> frozenset[str]:
    found = _texts(value, place)
    for each in found:
        if each not in _RESULTS and not each.startswith("result "):
            raise HemConfigError(f"{place}: {each!r} is no result; accepted: {', '.join(_RESULTS)}")
    return frozenset(found)


def _whole(most: int) -> Callable[[Any, str], int]:
    def whole(value: Any, place: str) -> int:
        if type(value) is not int or not 1 <= value <= most:
            raise HemConfigError(f"{place}: {value!r} is no whole number from 1 to {most}")
        return value

    return whole


#: Setting → field of ``Rule``, and what reads it.
_SETTINGS: Mapping[str, tuple[str, Callable[[Any, str], Any]]] = {
    "name": ("name", _text),
    "event": ("events", _events),
    "result": ("results", _results),
    "who": ("who", _actors),
    "key": ("keys", _texts),
    "at_most": ("at_most", _whole(_MOST)),
    "per": ("per", _whole(_LONGEST)),
}
