"""One conversation with gpg-agent: what it has chosen and brought, and how its cards and keys are found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hem_provider.adapters.scdaemon.assuan import Closed, Conversation
from hem_provider.adapters.scdaemon.attributes import ATTRIBUTES
from hem_provider.adapters.scdaemon.cards import Card, CardKey, Shelf
from hem_provider.adapters.scdaemon.faults import CardFault, fault_of
from hem_provider.errors import HemLoginRequired
from hem_provider.logs import DEBUG, WARNING, Logger
from hem_provider.printable import printable

__all__ = ["Daemon", "Session"]

log = Logger(__name__)


class Daemon:
    """What all sessions share. ``commands``: by name. ``version``: of the GnuPG that asks. ``socket``: of
    further connections."""

    def __init__(
        self,
        shelf: Shelf,
        commands: Mapping[str, Callable[[Session, str], None]],
        *,
        version: Callable[[], str],
        socket: str | None = None,
    ) -> None:
        self.shelf = shelf
        self.commands = commands
        self.version = version
        self.socket = socket
        self.sessions: set[Session] = set()
        self.locked: Session | None = None
        self.killed = False


class Session:
    """One connection, until it ends."""

    def __init__(self, daemon: Daemon, conversation: Conversation) -> None:
        self.daemon = daemon
        self.shelf = daemon.shelf
        self.conversation = conversation
        self.serial: str | None = None
        self.data = b""
        self.ended = False

    def run(self) -> None:
        """Answer until the other side is gone or says so. ``OSError`` where it takes no answers."""
        self.daemon.sessions.add(self)
        try:
            self.conversation.good("the HEM's smart card daemon is ready")
            while not self.ended:
                self._answer()
        except Closed as closed:
            if closed.args:
                raise closed.args[0] from None
        finally:
            self.daemon.sessions.discard(self)
            if self.daemon.locked is self:
                self.daemon.locked = None

    def _answer(self) -> None:
        try:
            line = self.conversation.line()
            name, _, rest = line.decode("utf-8", "replace").strip(" \t").partition(" ")
            if not name or name.startswith("#"):
                return
            command = self.daemon.commands.get(name.upper())
            if command is None:
                raise CardFault("UNKNOWN_CMD", f"no command {name[:40]!r}")
            log.log(DEBUG, "%s", name.upper())
            command(self, rest.strip(" \t"))
        except Closed:
            raise
        except Exception as error:
            fault = fault_of(error)
            log.log(WARNING, "%s", fault.text)
            self.conversation.bad(fault)
        else:
            self.conversation.good()

    # Finding cards and keys.

    def cards(self, *, fresh: bool = False) -> Sequence[Card]:
        """Those that are there. ``CardFault`` for none."""
        found = self.shelf.cards(fresh=fresh) or (() if fresh else self.shelf.cards(fresh=True))
        if not found:
            raise CardFault("CARD_NOT_PRESENT", "no device has keys for OpenPGP; 'hem gpg setup' makes some")
        return found

    def card(self, *, fresh: bool = False) -> Card:
        """The current one, else the first."""
        found = self.cards(fresh=fresh)
        return next((each for each in found if each.serial == self.serial), found[0])

    def demanded(self, serial: str) -> Card:
        """The one with this number."""
        for fresh in (False, True):
            for each in self.cards(fresh=fresh):
                if each.serial == serial.upper():
                    return each
        raise CardFault("CARD_NOT_PRESENT", f"no card has the serial number {serial[:40]!r}")

    def key(self, name: str) -> tuple[Card, CardKey]:
        """The key that ``name`` names, and its card."""
        for fresh in (False, True):
            current = self.card(fresh=fresh)
            for each in (current, *self.cards()) if len(name) >= 40 else (current,):
                found = each.key(name)
                if found is not None:
                    return each, found
        raise CardFault("NO_SECKEY", f"no card has a key {name[:80]!r}")

    def used(self, card: Card, key: CardKey, use: Callable[[], bytes]) -> bytes:
        """What a use of a key gives. ``CardFault``; what ``use`` raises."""
        self.unlocked(card, key)
        try:
            return use()
        except HemLoginRequired:  # an agent was locked, or a PIN forgotten, since we looked
            if not self.shelf.needs_pin(card):
                raise
        self.unlocked(card, key)
        return use()

    def unlocked(self, card: Card, key: CardKey) -> None:
        """See to it that the device finds a login: a person is asked where there is no other."""
        if self.daemon.locked not in (None, self):
            raise CardFault("LOCKED", "another program has locked the card")
        if not self.shelf.needs_pin(card):
            return
        lines = (f"Passphrase of the HEM {card.device!r}", f"Card: {card.shown}", f"Name: {card.name}")
        prompt = "%0A".join(printable(each).replace("%", "%25") for each in lines)
        answer = self.conversation.inquire("NEEDPIN", f"||{prompt}")
        try:
            pin = bytes(answer).partition(b"\0")[0].decode("utf-8")
        except UnicodeDecodeError:
            raise CardFault("INV_RESPONSE", "the PIN is no text") from None
        finally:
            answer[:] = bytes(len(answer))
        if not pin:
            raise CardFault("NO_PIN", "no PIN was given")
        self.shelf.log_in(card, key, pin)

    def tell(self, card: Card, names: Sequence[str]) -> int:
        """Send attributes; how many lines they were."""
        lines = [line for name in names for line in ATTRIBUTES[name](card)]
        for line in lines:
            self.conversation.status(*line)
        return len(lines)
