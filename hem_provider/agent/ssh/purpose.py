"""What a signature is for, in words: for the question to a person, and for the log.

Whoever asks chooses the data; the words say what a server or program would take the signature for.
"""

from __future__ import annotations

from hem_provider.agent.ssh.certificates import is_certificate, read_certificate
from hem_provider.agent.ssh.identities import fingerprint
from hem_provider.agent.ssh.peers import SshPeer
from hem_provider.printable import printable
from hem_provider.sshwire import Reader, WireError

__all__ = ["purpose"]

#: Characters of a name, and names of a certificate, that are told.
_LONGEST, _MOST_NAMES = 64, 5
#: SSH_MSG_USERAUTH_REQUEST (RFC 4252 §5).
_REQUEST = 50
_HOSTBOUND = "publickey-hostbound-v00@openssh.com"
_SIGNATURE = b"SSHSIG"


def purpose(data: bytes, blob: bytes, peer: SshPeer) -> str:
    """What ``data``, to be signed by the key or certificate ``blob``, is. Never raises."""
    for read in (_login, _file, _certificate):
        try:
            found = read(data, blob, peer)
        except WireError:
            continue
        if found is not None:
            return printable(found)
    return f"sign {len(data)} bytes of no kind that is known here"


def _login(data: bytes, blob: bytes, peer: SshPeer) -> str | None:
    """RFC 4252 §7, and OpenSSH's host-bound form."""
    reader = Reader(data)
    session, number = reader.string("session identifier"), reader.byte("message")
    user, service = reader.text("user"), reader.text("service")
    method, signed = reader.text("method"), reader.boolean("signed")
    reader.text("algorithm")
    key = reader.string("key")
    host = reader.string("host key") if method == _HOSTBOUND else None
    reader.end()
    if number != _REQUEST or method not in ("publickey", _HOSTBOUND) or not signed or key != blob:
        return None
    words = f"log in as {_name(user)}"
    if service != "ssh-connection":
        words += f" to {_name(service)}"
    if host is not None:
        return f"{words} on the host {fingerprint(host)}"
    bound = next((each for each in peer.sessions if each.identifier == session), None)
    return f"{words} on the host {bound.host}" if bound else f"{words} on a host that is not proven"


def _file(data: bytes, _blob: bytes, _peer: SshPeer) -> str | None:
    """OpenSSH's ``PROTOCOL.sshsig``."""
    if not data.startswith(_SIGNATURE):
        return None
    reader = Reader(data[len(_SIGNATURE) :])
    namespace = reader.text("namespace")
    for each in ("reserved", "digest", "hash"):
        reader.string(each)
    reader.end()
    return f"sign for {_name(namespace)}"


def _certificate(data: bytes, _blob: bytes, _peer: SshPeer) -> str | None:
    if not is_certificate(data):
        return None
    found = read_certificate(data, signed=False)
    named = ", ".join(map(_name, found.principals[:_MOST_NAMES])) or "everybody"
    if len(found.principals) > _MOST_NAMES:
        named += f" and {len(found.principals) - _MOST_NAMES} more"
    return f"issue the {found.kind} certificate {_name(found.key_id)} for {named}"


def _name(text: str) -> str:
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")
