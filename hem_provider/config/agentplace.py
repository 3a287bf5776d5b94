"""Where a user's agent listens, and the words that both ends of its socket use (docs/agent.md)."""

from __future__ import annotations

import os
from pathlib import Path

from hem_provider.files import runtime_folder
from hem_provider.trust import privileges_raised

__all__ = ["DEVICES", "SOCKET_VARIABLE", "SSH_SOCKET", "Field", "Word", "agent_socket", "ssh_socket_of"]

#: Names another socket than the fixed one; ``hem agent run`` sets it for its command.
SOCKET_VARIABLE = "HEM_AGENT_SOCK"
#: Names of the sockets in the user's runtime folder.
_SOCKET, SSH_SOCKET = "agent.sock", "ssh-agent.sock"
#: Device paths begin so: ``/devices/NAME/api/…``.
DEVICES = "/devices/"


class Field:
    """Header fields. Of a request: which ``DEVICE`` (its URL) is meant, the ``SCOPES`` of which a token for
    any will do (separated by spaces), the seconds within which an answer is of use (``WITHIN``), whether it
    may be sent to the device again (``REPEATABLE: 1``), and whether it only watches, which keeps no agent
    from being idle and unlocks none (``WATCHING: 1``). Of an answer that is the agent's own and not the
    device's: why (``WORD``)."""

    DEVICE = "Hem-Device"
    SCOPES = "Hem-Scope"
    WITHIN = "Hem-Within"
    REPEATABLE = "Hem-Repeatable"
    WATCHING = "Hem-Watching"
    WORD = "Hem-Agent"


class Word:
    """Why an answer is the agent's own, with the status that it has.

    ``LOCKED`` (401), ``DENIED`` (403), ``UNKNOWN`` (404, 421: no such device, another one of this name),
    ``STOPPING`` (503): nothing was sent to the device. ``REFUSED`` (400, 405, 411, 413, 431): it is no
    request. ``ERROR`` (502): the way to the device failed; the body names the error.
    """

    LOCKED = "locked"
    DENIED = "denied"
    UNKNOWN = "unknown"
    STOPPING = "stopping"
    REFUSED = "refused"
    ERROR = "error"


def ssh_socket_of(rest: Path) -> Path:
    """The socket for SSH beside the other one of an agent; each agent of a folder has its own."""
    return rest.with_name(SSH_SOCKET if rest.name == _SOCKET else f"{rest.stem}-ssh.sock")


def agent_socket() -> Path | None:
    """The socket of this user's agent, whether or not one listens: ``$HEM_AGENT_SOCK``, else ``agent.sock``
    in the user's runtime folder. ``None`` in a process with raised privileges and where there is no
    safe folder. One ``lstat`` or two; nothing is made.
    """
    if privileges_raised():
        return None
    if named := os.environ.get(SOCKET_VARIABLE):
        return Path(named)
    folder = runtime_folder()
    return None if folder is None else Path(folder, _SOCKET)
