"""What is known of the other end of a connection: OpenSSH's ``session-bind@openssh.com``.

A client of OpenSSH says by it which SSH session its connection to the agent is for, proven by the server's
signature, and whether the connection is forwarded to that server.
"""

from __future__ import annotations

from hem_provider.agent.ssh.certificates import is_certificate, read_certificate
from hem_provider.agent.ssh.hostkeys import verifies
from hem_provider.agent.ssh.identities import fingerprint
from hem_provider.records import field, frozen, mutable
from hem_provider.sshwire import Reader, WireError

__all__ = ["Session", "SshPeer"]

#: As OpenSSH's agent: sessions of one connection, and bytes of a session's identifier.
_MOST_SESSIONS, _LONGEST_ID = 16, 128


@frozen
class Session:
    """``host_key``: the server's public key blob. ``forwarded``: the connection is forwarded to that server,
    and not for a login there."""

    host_key: bytes
    identifier: bytes
    forwarded: bool

    @property
    def host(self) -> str:
        """The fingerprint of the server's key; of a certificate's key, as ``known_hosts`` would have it."""
        key = self.host_key
        return fingerprint(read_certificate(key).public if is_certificate(key) else key)


@mutable
class SshPeer:
    """One connection to the agent. ``pid``: of the process at its other end, for messages."""

    pid: int | None = None
    sessions: list[Session] = field(default_factory=list)
    was_bound: bool = False  #: it was tried, whether or not it was done

    def bind(self, reader: Reader) -> None:
        """Read what binds the connection to a session, and keep it. ``WireError`` when it is not accepted:
        the proof is wrong, or the connection is for a login already."""
        self.was_bound = True
        host_key, identifier = reader.string("host key"), reader.string("session identifier")
        signature, forwarded = reader.string("signature"), reader.boolean("is_forwarding")
        reader.end()
        if not 0 < len(identifier) <= _LONGEST_ID:
            raise WireError(f"session identifier: {len(identifier)} bytes; accepted: 1 to {_LONGEST_ID}")
        if not verifies(host_key, signature, identifier):
            raise WireError("session-bind: the signature is not the host key's")
        for each in self.sessions:
            if not each.forwarded:
                raise WireError("session-bind: the connection is bound to a login already")
            if each.identifier == identifier:
                if each.host_key == host_key:
                    return
                raise WireError("session-bind: the session is bound to another host key")
        if len(self.sessions) >= _MOST_SESSIONS:
            raise WireError(f"session-bind: more than {_MOST_SESSIONS} sessions")
        self.sessions.append(Session(host_key, identifier, forwarded))

    @property
    def route(self) -> tuple[Session, ...]:
        """The servers that the connection is forwarded through, the nearest first."""
        return tuple(each for each in self.sessions if each.forwarded)

    def __str__(self) -> str:
        who = "a client" if self.pid is None else f"process {self.pid}"
        return who + "".join(f", by way of the host {each.host}" for each in self.route)
