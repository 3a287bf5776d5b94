"""What GnuPG sees of a device: OpenPGP cards, one for each certificate, with up to three keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hem_provider.adapters.scdaemon.grips import keygrip
from hem_provider.records import frozen

__all__ = ["DECRYPT", "SIGN", "Card", "CardKey", "Shelf", "serial_number"]

#: The application of OpenPGP cards, version 3.4, and a maker out of the numbers that nobody manages.
_APPLICATION, _MAKER = "D276000124010304", 0xFF48
#: Letters of uses: certify, sign, authenticate; decrypt.
SIGN, DECRYPT = frozenset("csa"), frozenset("e")


def serial_number(fingerprint: str) -> str:
    """Of the card of a certificate: 32 hex digits, with the last 8 of its fingerprint."""
    return f"{_APPLICATION}{_MAKER:04X}{fingerprint[-8:].upper()}0000"


@frozen
class CardKey:
    """``number``: 1 signs, 2 decrypts, 3 authenticates. ``type``: the device's. ``public``: in device form.
    ``kid``: the device's name of it. ``fingerprint``: 40 hex digits. ``created``: Unix seconds. ``use``:
    letters."""

    number: int
    type: str
    public: bytes
    kid: str
    fingerprint: str
    created: int
    use: str

    @property
    def reference(self) -> str:
        """As GnuPG names it on a card."""
        return f"OPENPGP.{self.number}"

    @property
    def grip(self) -> str:
        """Its keygrip."""
        return keygrip(self.type, self.public)


@frozen
class Card:
    """``serial``: 32 hex digits. ``device``: name of the configured device. ``name``: of the certificate."""

    serial: str
    device: str
    name: str
    keys: tuple[CardKey, ...]

    @property
    def shown(self) -> str:
        """The serial number as GnuPG shows it."""
        return f"{self.serial[16:20]} {self.serial[20:28]}"

    @property
    def maker(self) -> int:
        """Number of the maker."""
        return int(self.serial[16:20], 16)

    def key(self, name: str) -> CardKey | None:
        """The one with this keygrip, reference or fingerprint, the latter also after a serial number."""
        wanted = name.upper().rpartition("/")[2]
        for each in self.keys:
            if wanted in (each.reference, each.grip, each.fingerprint):
                return each
        return None


class Shelf(Protocol):
    """Where cards are. All but ``cards`` may raise ``HemError``."""

    def cards(self, *, fresh: bool = False) -> Sequence[Card]:
        """Those that are known; ``fresh``: as devices have them now, those that can be asked."""

    def needs_pin(self, card: Card) -> bool:
        """Whether nothing but a person can log in to its device."""

    def log_in(self, card: Card, key: CardKey, pin: str) -> None:
        """Prove a passphrase to its device, for the use of one of its keys first."""

    def forget(self) -> None:
        """End the logins that PINs were given for."""

    def sign(self, card: Card, key: CardKey, data: bytes) -> bytes:
        """The Ed25519 signature of ``data``, 64 bytes."""

    def agree(self, card: Card, key: CardKey, point: bytes) -> bytes:
        """The raw secret agreed with a public key in device form."""
