"""What gpg-agent asks a smart card daemon: a table of commands.

As GnuPG 2.2 and 2.4 ask them (``scdaemon``'s manual, "Commands"). Keys are named by reference
(``OPENPGP.1``), of the session's current card, or by keygrip, of any card.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from hem_provider.adapters.scdaemon.attributes import ATTRIBUTES, LEARNED, key_pair_info
from hem_provider.adapters.scdaemon.cards import Card, CardKey
from hem_provider.adapters.scdaemon.faults import CardFault
from hem_provider.adapters.scdaemon.grips import public_expression
from hem_provider.adapters.scdaemon.information import getinfo
from hem_provider.adapters.scdaemon.session import Session
from hem_provider.adapters.scdaemon.values import agreed_point, authenticated, digest_of, peer_point

__all__ = ["COMMANDS", "MOST_DATA"]

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
    signature = session.used(card, key, lambda: session.shelf.sign(card, key, digest))
    session.conversation.data(signature)


def _pkauth(session: Session, text: str) -> None:
    options, name = _options(text)
    if options:
        raise CardFault("NOT_SUPPORTED", f"--{next(iter(options))[:40]}; accepted: a key")
    card, key = _signing(session, name)
    message = authenticated(session.data)
    signature = session.used(card, key, lambda: session.shelf.sign(card, key, message))
    session.conversation.data(signature)


def _pkdecrypt(session: Session, text: str) -> None:
    _, name = _options(text)
    card, key = session.key(name)
    if key.use != "e":
        raise CardFault("WRONG_KEY_USAGE", f"{key.reference} ({key.type}) is no key for decryption")
    point = peer_point(key, session.data)
    secret = session.used(card, key, lambda: session.shelf.agree(card, key, point))
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
    "GETINFO": getinfo,
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
