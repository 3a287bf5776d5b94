"""The client's side of the protocol: what ``hem ssh`` asks the agent for."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path

from hem_provider.agent.ssh.constraints import Constraints
from hem_provider.agent.ssh.numbers import ADD, TOKEN, Number
from hem_provider.agent.ssh.wire import FrameSplitter, frame
from hem_provider.config.agentplace import SOCKET_VARIABLE, SSH_SOCKET, ssh_socket_of
from hem_provider.errors import HemConfigError, HemOperationFailed, HemProtocolError, HemUnreachable
from hem_provider.files import runtime_folder
from hem_provider.sshwire import Reader, WireError, string

__all__ = ["add_keys", "ssh_socket"]

#: Seconds to an answer: a listing of the device may be needed first.
_PATIENCE = 60.0


def ssh_socket() -> Path:
    """The socket of this user's agent for SSH, whether or not one listens: beside the agent's other one where
    ``HEM_AGENT_SOCK`` names that, else in the user's runtime folder. ``HemConfigError`` where there is no
    safe folder."""
    folder = runtime_folder()
    named = os.environ.get(SOCKET_VARIABLE)
    if folder is None:  # also with raised privileges, where no variable is followed
        raise HemConfigError("there is no folder for the agent's sockets that this user alone may write")
    return ssh_socket_of(Path(named)) if named else Path(folder, SSH_SOCKET)


def add_keys(path: Path, names: Sequence[str], wanted: Constraints) -> list[str]:
    """Let the agent at ``path`` show the keys with these labels or KIDs, all keys for none, on these
    conditions. What it shows now: type and label a key. ``HemUnreachable``; ``HemOperationFailed`` with
    the agent's reason, at the first that is refused."""
    told: list[str] = []
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE)
        try:
            connection.connect(os.fsencode(path))
            for name in [f"{TOKEN}:{each}" for each in names] or [TOKEN]:
                body = string(ADD) + string(name) + string(b"") + wanted.encode()
                connection.sendall(frame(bytes([Number.EXTENSION]) + body))
                told += _read_added(_received(connection), path)
        except OSError as error:
            reason = error.strerror or str(error)
            raise HemUnreachable(
                f"{path}: no agent answers ({reason}); start it with: hem agent start (without --no-ssh)"
            ) from error
    return told


def _received(connection: socket.socket) -> bytes:
    splitter = FrameSplitter()
    while data := connection.recv(65536):
        try:
            for message in splitter.feed(data):
                return message
        except WireError as error:
            raise HemProtocolError(f"the agent answers {error}") from None
    raise ConnectionResetError(0, "it closed the connection")


def _read_added(message: bytes, path: Path) -> list[str]:
    reader = Reader(message, "answer of the agent")
    try:
        if reader.byte("number") != Number.EXTENSION_RESPONSE:
            raise HemOperationFailed(
                f"{path}: the agent refuses: it is locked (ssh-add -X unlocks it), or another program's agent"
            )
        name, verdict = reader.text("extension"), reader.text("verdict")
        words = [each.decode("utf-8", "replace") for each in reader.strings("words")]
    except WireError as error:
        raise HemProtocolError(f"{path}: {error}") from None
    if (name, verdict) == (ADD, "added"):
        return words
    raise HemOperationFailed(f"the agent refuses: {' '.join(words) or verdict}")
