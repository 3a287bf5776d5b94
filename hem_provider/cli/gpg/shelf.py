"""The cards that GnuPG sees: OpenPGP certificates of all configured devices.

What was listed last, by whatever process of this user, is believed first, so that an operation is one call; a
device is asked when something is not found, and by ``gpg --card-status``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from hem_provider.adapters.openpgp import Held, Holding, Role, holdings
from hem_provider.adapters.scdaemon import Card, CardKey, serial_number
from hem_provider.cli.gpg.term import Limits, Term
from hem_provider.device.checkin import identified
from hem_provider.device.hem import Hem
from hem_provider.device.key import Key
from hem_provider.errors import HemError, HemKeyNotFound, HemLoginRequired
from hem_provider.keytypes import KEY_TYPES
from hem_provider.logs import WARNING, Logger
from hem_provider.publickeys import load_public

__all__ = ["DeviceShelf", "card_of"]

#: Number of a key on an OpenPGP card, and the letters of its uses.
_PLACES = {Role.SIGN: (1, "sc"), Role.DECRYPT: (2, "e"), Role.AUTHENTICATE: (3, "a")}
#: Seconds within which a device is not listed again because a key was not found.
_PAUSE = 3.0
log = Logger(__name__)


def card_of(holding: Holding, device: str) -> Card:
    """The card of a certificate. Calls where public halves are not remembered."""
    keys = tuple(sorted((_card_key(each) for each in holding.keys), key=lambda each: each.number))
    return Card(serial_number(holding.fingerprint()), device, holding.name or "OpenPGP", keys)


def _card_key(held: Held) -> CardKey:
    number, use = _PLACES[held.place.role]
    pgp = held.pgp()
    return CardKey(
        number, pgp.type, pgp.public, held.key.kid, pgp.fingerprint.hex().upper(), pgp.created, use
    )


class _Device:
    """One device, and what is known of it."""

    def __init__(self, hem: Hem) -> None:
        self.hem = hem
        self.term = Term(hem.logout)
        self.cards: list[Card] = []
        self.keys: dict[str, Key] = {}
        self.looked = False
        self.listed = float("-inf")
        #: Why it did not tell when it was asked last.
        self.trouble: HemError | None = None

    def look(self, *, fresh: bool) -> list[Card]:
        """Its cards."""
        if not self.looked:
            self.looked = True
            self.take(self.hem.keys.recalled())
        if fresh and time.monotonic() - self.listed >= _PAUSE:
            try:
                self.take(self.list())
            except HemError as error:
                log.log(WARNING, "%s: %s", self.hem.config.name, error)
                self.trouble = error
                return []
            self.listed = time.monotonic()
        return self.cards

    def take(self, keys: Sequence[Key]) -> None:
        """Make cards of these keys."""
        found = holdings(keys)
        self.cards = [card_of(each, self.hem.config.name) for each in found]
        self.keys = {each.key.kid: each.key for holding in found for each in holding.keys}
        self.trouble = None

    def list(self) -> list[Key]:
        """As the device has them, by a login where that asks no person; else without one, if the device
        allows it, and else as they were listed last."""
        if not self.needs_person():
            if self.hem.identity is None:
                # What is listed is kept for a device that is known; its login takes it up.
                identified(self.hem)
            self.hem.keys.refresh()
            return list(self.hem.keys)
        try:
            found = self.hem.keys.search_anonymous()
        except HemLoginRequired:
            found = []
        known = {each.kid for each in found}
        return found + [each for each in self.hem.keys.recalled() if each.kid not in known]

    def needs_person(self) -> bool:
        """Whether only a person can log in."""
        return self.hem.next_login is None


class DeviceShelf:
    """``scdaemon.Shelf`` over ``hems``. Safe for threads."""

    def __init__(
        self, hems: Sequence[Hem], prefer: Sequence[str] = (), limits: Callable[[], Limits] = Limits
    ) -> None:
        """``prefer``: fingerprints of certificates whose cards come first, in this order. ``limits``: gives
        how long a PIN is good for; asked when one was given."""
        self._limits = limits
        self._first = [serial_number(each) for each in prefer]
        self._devices = {each.config.name: _Device(each) for each in hems}
        self._lock = threading.Lock()

    def cards(self, *, fresh: bool = False) -> Sequence[Card]:
        """See ``Shelf``. What kept a device from telling is raised where no other has a card."""
        with self._lock:
            found = [card for each in self._devices.values() for card in each.look(fresh=fresh)]
            troubles = [each.trouble for each in self._devices.values() if each.trouble is not None]
        if not found and fresh and troubles:
            raise troubles[0]
        return sorted(found, key=self._place)

    def _place(self, card: Card) -> int:
        return self._first.index(card.serial) if card.serial in self._first else len(self._first)

    def needs_pin(self, card: Card) -> bool:
        """See ``Shelf``."""
        return self._devices[card.device].needs_person()

    def log_in(self, card: Card, key: CardKey, pin: str) -> None:
        """See ``Shelf``."""
        device = self._devices[card.device]
        device.hem.login(pin, scope=f"keymgmt:use:{key.kid}")
        device.term.begin(self._limits())

    def forget(self) -> None:
        """See ``Shelf``."""
        for each in self._devices.values():
            each.term.end()
            each.hem.logout()

    def sign(self, card: Card, key: CardKey, data: bytes) -> bytes:
        """See ``Shelf``."""
        with self._devices[card.device].term.used():
            return bytes(self._private(card, key).sign(data))

    def agree(self, card: Card, key: CardKey, point: bytes) -> bytes:
        """See ``Shelf``."""
        peer = load_public(KEY_TYPES[key.type], point)
        with self._devices[card.device].term.used():
            private = self._private(card, key)
            if key.type == "SECP256R1":
                from cryptography.hazmat.primitives.asymmetric import ec

                return bytes(private.exchange(ec.ECDH(), peer))
            return bytes(private.exchange(peer))

    def _private(self, card: Card, key: CardKey) -> Any:
        device = self._devices[card.device]
        with self._lock:
            found = device.keys.get(key.kid)
        if found is None:
            raise HemKeyNotFound(f"{card.device}: no key {key.kid}")
        return found.private_key()
