"""The daemon: one conversation by standard input and output, further ones by a socket."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from hem_provider.adapters.scdaemon.assuan import Conversation
from hem_provider.adapters.scdaemon.cards import Shelf
from hem_provider.adapters.scdaemon.commands import COMMANDS
from hem_provider.adapters.scdaemon.session import Daemon, Session

__all__ = ["MOST_CONNECTIONS", "serve"]

#: Most conversations at once; further ones are closed, which their programs take for a key that is not there.
MOST_CONNECTIONS = 512
#: Of a socket's file among those of others.
_PREFIX, _SUFFIX = "scdaemon-", ".sock"
_CREDENTIALS = struct.Struct("3i")


def serve(
    shelf: Shelf,
    reader: BinaryIO,
    writer: BinaryIO,
    *,
    version: Callable[[], str],
    folder: Path | None = None,
) -> None:
    """Until ``reader`` ends, or the daemon is told to. ``OSError`` where ``writer`` takes nothing.

    ``folder``: of this user alone, where the socket for further connections comes; none without it.
    """
    daemon = Daemon(shelf, COMMANDS, version=version)
    listener = _listener(folder) if folder is not None else None
    if listener is not None:
        daemon.socket = listener.getsockname()
        threading.Thread(target=_accept, args=(daemon, listener), daemon=True).start()
    try:
        Session(daemon, Conversation(reader, writer)).run()
    finally:
        if listener is not None and daemon.socket is not None:
            with suppress(OSError):
                Path(daemon.socket).unlink()
            listener.close()


def _listener(folder: Path) -> socket.socket | None:
    """``None`` where no socket can be: GnuPG then has one conversation at a time."""
    for each in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        if not _is_alive(each):
            with suppress(OSError):
                each.unlink()
    made = socket.socket(socket.AF_UNIX)
    try:
        made.bind(str(folder / f"{_PREFIX}{os.getpid()}{_SUFFIX}"))
        made.listen(MOST_CONNECTIONS)
    except OSError:
        made.close()
        return None
    return made


def _is_alive(path: Path) -> bool:
    """Whether the process that made this socket may be there still."""
    number = path.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
    return number.isdigit() and int(number) != os.getpid() and Path(f"/proc/{number}").exists()


def _accept(daemon: Daemon, listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        if len(daemon.sessions) >= MOST_CONNECTIONS or not _is_own(connection):
            connection.close()
            continue
        threading.Thread(target=_converse, args=(daemon, connection), daemon=True).start()


def _is_own(connection: socket.socket) -> bool:
    """Whether a process of this user is at the other end."""
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(told)[1] == os.geteuid())


def _converse(daemon: Daemon, connection: socket.socket) -> None:
    with (
        suppress(OSError),
        connection,
        connection.makefile("rb") as reader,
        connection.makefile("wb") as writer,
    ):
        Session(daemon, Conversation(reader, writer)).run()
    if daemon.killed:  # the main conversation waits for a line, and nothing wakes it
        if daemon.socket is not None:
            with suppress(OSError):
                Path(daemon.socket).unlink()
        os._exit(0)
