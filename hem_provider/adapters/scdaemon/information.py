"""``GETINFO``: what the daemon tells of itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from hem_provider.adapters.scdaemon.faults import CardFault
from hem_provider.adapters.scdaemon.session import Session

__all__ = ["getinfo"]


def getinfo(session: Session, text: str) -> None:
    """The command."""
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
