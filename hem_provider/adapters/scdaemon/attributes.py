"""What a card tells of itself: the status lines of ``GETATTR`` and ``LEARN``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from hem_provider.adapters.scdaemon.assuan import plus_escaped
from hem_provider.adapters.scdaemon.cards import Card, CardKey
from hem_provider.adapters.scdaemon.grips import CURVES

__all__ = ["ATTRIBUTES", "LEARNED", "key_pair_info"]

#: A line: keyword and values.
Lines = Iterator[tuple[str, ...]]
#: Longest PIN that gpg-agent hands on, in bytes. A device counts no tries; those of a card that may be tried.
_PIN, _TRIES = 89, 3


def _serial(card: Card) -> Lines:
    yield "SERIALNO", card.serial


def _type(_: Card) -> Lines:
    yield "APPTYPE", "openpgp"


def _shown(card: Card) -> Lines:
    yield "$DISPSERIALNO", plus_escaped(card.shown)


def _name(card: Card) -> Lines:
    name = re.sub(r"\s*<[^<>]*>$", "", card.name)
    if name:
        yield "DISP-NAME", plus_escaped(name.replace("<", ""))


def _login(card: Card) -> Lines:
    found = re.search(r"<([^<>]+)>$", card.name)
    if found:
        yield "LOGIN-DATA", plus_escaped(found[1])


def _maker(card: Card) -> Lines:
    yield "MANUFACTURER", str(card.maker), "Encedo HEM"


def _abilities(_: Card) -> Lines:
    yield "EXTCAP", plus_escaped("gc=0 ki=0 fc=0 pd=0 mcl3=0 aac=0 sm=0 si=0 dec=0 bt=0 kdf=0")


def _pins(_: Card) -> Lines:
    yield "CHV-STATUS", plus_escaped(f" 1 {_PIN} {_PIN} {_PIN} {_TRIES} 0 0")


def _fingerprints(card: Card) -> Lines:
    for each in card.keys:
        yield "KEY-FPR", str(each.number), each.fingerprint


def _times(card: Card) -> Lines:
    for each in card.keys:
        yield "KEY-TIME", str(each.number), str(each.created)


def _algorithms(card: Card) -> Lines:
    for each in card.keys:
        curve = CURVES[each.type]
        yield "KEY-ATTR", str(each.number), str(curve.openpgp), curve.short


def _key_id(keyword: str, number: int) -> Callable[[Card], Lines]:
    def lines(card: Card) -> Lines:
        for each in card.keys:
            if each.number == number:
                yield keyword, each.reference

    return lines


#: Name → its lines; none for what this card does not have.
ATTRIBUTES: Mapping[str, Callable[[Card], Lines]] = {
    "SERIALNO": _serial,
    "AID": lambda card: iter([("AID", card.serial)]),
    "APPTYPE": _type,
    "$DISPSERIALNO": _shown,
    "DISP-NAME": _name,
    "LOGIN-DATA": _login,
    "MANUFACTURER": _maker,
    "EXTCAP": _abilities,
    "CHV-STATUS": _pins,
    "KEY-FPR": _fingerprints,
    "KEY-TIME": _times,
    "KEY-ATTR": _algorithms,
    "$SIGNKEYID": _key_id("$SIGNKEYID", 1),
    "$ENCRKEYID": _key_id("$ENCRKEYID", 2),
    "$AUTHKEYID": _key_id("$AUTHKEYID", 3),
}
#: What ``LEARN`` tells, in order, before the keys.
LEARNED = (
    "APPTYPE",
    "EXTCAP",
    "MANUFACTURER",
    "DISP-NAME",
    "LOGIN-DATA",
    "KEY-FPR",
    "KEY-TIME",
    "CHV-STATUS",
)


def key_pair_info(key: CardKey) -> tuple[str, ...]:
    """The line that tells of a key."""
    return "KEYPAIRINFO", key.grip, key.reference, key.use, str(key.created), CURVES[key.type].short
