"""What gpg-agent asks a smart card daemon: a table of commands.

As GnuPG 2.2 and 2.4 ask them (``scdaemon``'s manual, "Commands"). Keys are named by reference
(``OPENPGP.1``), of the session's current card, or by keygrip, of any card.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence

from hem_provider.adapters.scdaemon.assuan import Closed, Conversation
from hem_provider.adapters.scdaemon.attributes import ATTRIBUTES, LEARNED, key_pair_info
from hem_provider.adapters.scdaemon.cards import Card, CardKey, Shelf
from hem_provider.adapters.scdaemon.faults import CardFault, fault_of
from hem_provider.adapters.scdaemon.grips import public_expression
from hem_provider.adapters.scdaemon.values import agreed_point, authenticated, digest_of, peer_point
from hem_provider.logs import DEBUG, WARNING, Logger
from hem_provider.printable import printable

__all__ = ["COMMANDS", "MOST_DATA", "Daemon", "Session"]

#: Most bytes that ``SETDATA`` collects: as GnuPG's own has it.
MOST_DATA = 4096
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
#: Uses by which ``KEYINFO --list=`` chooses.
_USES = {"sign": "s", "encr": "e", "auth": "a"}
_READ_ONLY = "a HEM's keys are not changed this way; 'hem gpg setup' makes them, 'hem keys' looks after them"
_DIGESTED = (
    "this is a key for decryption, and a HEM signs no ready digests by ECDSA: it hashes messages itself; "
    "Ed25519 keys sign"
)
log = Logger(__name__)


class Daemon:
    """What all sessions share. ``version``: of the GnuPG that asks. ``socket``: of further connections."""

    def __init__(self, shelf: Shelf, *, version: Callable[[], str], socket: str | None = None) -> None:
        self.shelf = shelf
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
        except Closed:
            pass
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
            command = COMMANDS.get(name.upper())
            if command is None:
                raise CardFault("UNKNOWN_CMD", f"no command {name[:40]!r}")
            log.log(DEBUG, "%s", name.upper())
            command(self, rest.strip(" \t"))
        except (Closed, OSError):
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


def _options(text: str) -> tuple[dict[str, str], str]:
    """The options before what a command is given, with their values, and the rest."""
    options: dict[str, str] = {}
    while text.startswith("--"):
        word, _, text = text.partition(" ")
        text = text.lstrip(" \t")
        if word == "--":
            break
        name, _, value = word[2:].partition("=")
        options[name] = value
    return options, text


def _serialno(session: Session, text: str) -> None:
    options, kind = _options(text)
    if kind.lower() not in ("", "openpgp"):
        raise CardFault("NOT_SUPPORTED", f"application {kind[:40]!r}; accepted: openpgp")
    card = session.demanded(options["demand"]) if "demand" in options else session.card()
    session.serial = card.serial
    session.conversation.status("SERIALNO", card.serial)


def _switchcard(session: Session, text: str) -> None:
    serial = _options(text)[1]
    card = session.demanded(serial) if serial else session.card()
    session.serial = card.serial
    session.conversation.status("SERIALNO", card.serial)


def _switchapp(session: Session, text: str) -> None:
    kind = _options(text)[1]
    if kind.lower() not in ("", "openpgp"):
        raise CardFault("NOT_SUPPORTED", f"application {kind[:40]!r}; accepted: openpgp")
    session.conversation.status("SERIALNO", session.card().serial, "openpgp")


def _learn(session: Session, text: str) -> None:
    options, _ = _options(text)
    card = session.card(fresh=True)
    session.serial = card.serial
    if "keypairinfo" not in options:
        session.conversation.status("READER", f"Encedo HEM {card.device}")
        session.tell(card, ("SERIALNO",))
        if "force" not in options:
            session.conversation.inquire("KNOWNCARDP", card.serial)
        session.tell(card, LEARNED)
    for each in card.keys:
        session.conversation.status(*key_pair_info(each))


def _readkey(session: Session, text: str) -> None:
    options, name = _options(text)
    unknown = [each for each in options if each not in ("info", "info-only")]
    if unknown:
        raise CardFault("PARAMETER", f"--{unknown[0][:40]}; accepted: --info, --info-only")
    _, key = session.key(name)
    if options:
        session.conversation.status(*key_pair_info(key))
    if "info-only" not in options:
        session.conversation.data(public_expression(key.type, key.public))


def _keyinfo(session: Session, text: str) -> None:
    options, name = _options(text)
    if "list" in options:
        wanted = options["list"]
        if wanted and wanted not in _USES:
            raise CardFault("PARAMETER", f"--list={wanted[:40]}; accepted: {', '.join(_USES)}")
        letter = _USES.get(wanted, "")
        found = [(card, key) for card in session.shelf.cards() for key in card.keys if letter in key.use]
    else:
        try:
            found = [session.key(name)]
        except CardFault as fault:
            raise CardFault("NOT_FOUND", fault.text) from None
    for card, key in found:
        line = f"{key.grip} T {card.serial} {key.reference} {key.use}"
        if "data" in options:
            session.conversation.data(f"{line}\n".encode())
        else:
            session.conversation.status("KEYINFO", line)


def _setdata(session: Session, text: str) -> None:
    options, digits = _options(text)
    if not _HEX.fullmatch(digits):
        raise CardFault("PARAMETER", f"{len(digits)} characters that are no data in hex digits")
    before = session.data if "append" in options else b""
    data = bytes.fromhex(digits)
    if len(before) + len(data) > MOST_DATA:
        raise CardFault("TOO_LARGE", f"{len(before) + len(data)} bytes of data; accepted: {MOST_DATA}")
    session.data = before + data


def _signing(session: Session, name: str) -> tuple[Card, CardKey]:
    card, key = session.key(name)
    if key.type != "ED25519":
        raise CardFault("WRONG_KEY_USAGE", f"{key.reference} ({key.type}): {_DIGESTED}")
    if not session.data:
        raise CardFault("NO_DATA", "there is nothing to sign: SETDATA comes first")
    return card, key


def _pksign(session: Session, text: str) -> None:
    options, name = _options(text)
    card, key = _signing(session, name)
    digest = digest_of(session.data, options.get("hash", "sha1"))
    session.unlocked(card, key)
    session.conversation.data(session.shelf.sign(card, key, digest))


def _pkauth(session: Session, text: str) -> None:
    options, name = _options(text)
    if options:
        raise CardFault("NOT_SUPPORTED", f"--{next(iter(options))[:40]}; accepted: a key")
    card, key = _signing(session, name)
    session.unlocked(card, key)
    session.conversation.data(session.shelf.sign(card, key, authenticated(session.data)))


def _pkdecrypt(session: Session, text: str) -> None:
    _, name = _options(text)
    card, key = session.key(name)
    if key.use != "e":
        raise CardFault("WRONG_KEY_USAGE", f"{key.reference} ({key.type}) is no key for decryption")
    point = peer_point(key, session.data)
    session.unlocked(card, key)
    secret = session.shelf.agree(card, key, point)
    session.conversation.status("PADDING", "0")
    session.conversation.data(agreed_point(key, secret))


def _getattr(session: Session, text: str) -> None:
    name, _, grip = text.partition(" ")
    if name not in ATTRIBUTES:
        raise CardFault("INV_NAME", f"attribute {name[:40]!r}; accepted: {', '.join(ATTRIBUTES)}")
    card = session.key(grip.strip())[0] if grip.strip() else session.card()
    if not session.tell(card, (name,)):
        raise CardFault("NO_DATA", f"the card {card.shown} has no {name}")


def _checkpin(session: Session, _: str) -> None:
    card = session.card()
    session.unlocked(card, card.keys[0])


def _reset(session: Session, _: str) -> None:
    session.shelf.forget()
    _restart(session, "")


def _restart(session: Session, _: str) -> None:
    session.serial, session.data = None, b""
    if session.daemon.locked is session:
        session.daemon.locked = None


def _lock(session: Session, _: str) -> None:
    if session.daemon.locked not in (None, session):
        raise CardFault("LOCKED", "another program has locked the card")
    session.daemon.locked = session


def _unlock(session: Session, _: str) -> None:
    if session.daemon.locked is not session:
        raise CardFault(
            "NOT_LOCKED" if session.daemon.locked is None else "LOCKED", "it is not locked by this program"
        )
    session.daemon.locked = None


def _devinfo(session: Session, text: str) -> None:
    if "watch" in _options(text)[0]:
        raise CardFault("NOT_SUPPORTED", "--watch: a HEM does not tell when it comes or goes")
    for each in session.cards():
        session.conversation.status("DEVICE", "generic", each.serial, "openpgp")


def _bye(session: Session, _: str) -> None:
    session.ended = True


def _killed(session: Session, _: str) -> None:
    session.ended = session.daemon.killed = True


def _nothing(_: Session, __: str) -> None:
    """Of what there is nothing to do for."""


def _refused(_: Session, __: str) -> None:
    raise CardFault("NOT_SUPPORTED", _READ_ONLY)


def _readcert(_: Session, __: str) -> None:
    raise CardFault("NOT_FOUND", "the card has no X.509 certificates")


def _getinfo(session: Session, text: str) -> None:
    what, _, rest = text.partition(" ")
    telling = _INFORMATION.get(what)
    if telling is None:
        raise CardFault("PARAMETER", f"GETINFO {what[:40]!r}; accepted: {', '.join(_INFORMATION)}")
    found = telling(session, rest.strip())
    if found is not None:
        session.conversation.data(found.encode())


def _socket_name(session: Session, _: str) -> str:
    if session.daemon.socket is None:
        raise CardFault("NO_DATA", "there is no socket for further connections")
    return session.daemon.socket


def _status(session: Session, _: str) -> str:
    return "u" if session.shelf.cards() else "r"


def _card_list(session: Session, _: str) -> None:
    for each in session.shelf.cards():
        session.conversation.status("SERIALNO", each.serial)


def _active(session: Session, _: str) -> None:
    session.conversation.status("SERIALNO", session.card().serial, "openpgp")


def _all_active(session: Session, _: str) -> None:
    for each in session.shelf.cards():
        session.conversation.status("SERIALNO", each.serial, "openpgp")


def _has_option(_: Session, text: str) -> None:
    if text.split() not in (["SERIALNO", "all"], ["SERIALNO", "demand"], ["SETDATA", "append"]):
        raise CardFault("FALSE", "no")


#: What ``GETINFO`` tells → as data, or as it does itself.
_INFORMATION: Mapping[str, Callable[[Session, str], str | None]] = {
    "version": lambda session, _: session.daemon.version(),
    "pid": lambda _, __: str(os.getpid()),
    "socket_name": _socket_name,
    "connections": lambda session, _: str(len(session.daemon.sessions)),
    "status": _status,
    "reader_list": lambda session, _: "".join(f"Encedo HEM {each.device}\n" for each in session.cards()),
    "deny_admin": lambda _, __: None,
    "app_list": lambda _, __: "openpgp:\n",
    "card_list": _card_list,
    "active_apps": _active,
    "all_active_apps": _all_active,
    "cmd_has_option": _has_option,
}
#: Name of a command → what it does.
COMMANDS: Mapping[str, Callable[[Session, str], None]] = {
    "SERIALNO": _serialno,
    "SWITCHCARD": _switchcard,
    "SWITCHAPP": _switchapp,
    "LEARN": _learn,
    "READKEY": _readkey,
    "READCERT": _readcert,
    "KEYINFO": _keyinfo,
    "SETDATA": _setdata,
    "PKSIGN": _pksign,
    "PKAUTH": _pkauth,
    "PKDECRYPT": _pkdecrypt,
    "GETATTR": _getattr,
    "GETINFO": _getinfo,
    "CHECKPIN": _checkpin,
    "DEVINFO": _devinfo,
    "LOCK": _lock,
    "UNLOCK": _unlock,
    "RESET": _reset,
    "RESTART": _restart,
    "DISCONNECT": _nothing,
    "OPTION": _nothing,
    "NOP": _nothing,
    "BYE": _bye,
    "KILLSCD": _killed,
    **dict.fromkeys(("GENKEY", "WRITEKEY", "WRITECERT", "SETATTR", "PASSWD", "APDU", "RANDOM"), _refused),
}
