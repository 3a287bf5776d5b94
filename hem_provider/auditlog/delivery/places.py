"""Where entries can be sent, as somebody types it."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from hem_provider.errors import HemConfigError
from hem_provider.files import named_path
from hem_provider.records import frozen

__all__ = ["ACCEPTED", "SOCKET", "Place", "place_of"]

#: Where journald listens; one of a namespace listens elsewhere.
SOCKET = "/run/systemd/journal/socket"

#: What can be typed.
ACCEPTED = "-, FILE, udp://HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT, journal[:SOCKET]"

_NETWORK = ("udp", "tcp", "tls")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@frozen
class Place:
    """``kind``: ``output``, ``file``, ``udp``, ``tcp``, ``tls`` or ``journal``. ``text``: as people are told
    of it. ``path``: of the file, or of the journal's socket."""

    kind: str
    text: str
    host: str = ""
    port: int = 0
    path: Path | None = None

    @property
    def name(self) -> str:
        """What the cursor is called where nobody gives it a name: the same for the same place."""
        if self.kind == "file" and self.path is not None:
            whole = os.fsencode(self.path.absolute())
            told = _UNSAFE.sub("_", self.path.name)[:40]
            return f"file-{told}-{hashlib.sha256(whole).hexdigest()[:8]}"
        told = _UNSAFE.sub("-", self.text).strip("-.") or "output"
        if (self.path is None and ":" not in self.host) or self.text == self.kind:
            return told
        # Other sockets, and other addresses of IPv6, read the same without what cannot stand in a name.
        return f"{told[:80]}-{hashlib.sha256(os.fsencode(self.text)).hexdigest()[:8]}"


def place_of(text: str) -> Place:
    """Read what was typed. ``HemConfigError`` for what names no place."""
    if text == "-":
        return Place("output", "standard output")
    kind, found, socket = text.partition(":")
    if kind == "journal" and (not found or socket.startswith("/")):
        return Place("journal", text, path=Path(socket or SOCKET))
    scheme, found, _ = text.partition("://")
    if not found:
        if not text:
            raise HemConfigError(f"--to: nothing is named; accepted: {ACCEPTED}")
        path = named_path(text)
        return Place("file", str(path), path=path)
    if scheme not in _NETWORK:
        raise HemConfigError(f"--to: {scheme!r} is no way there; accepted: {ACCEPTED}")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise HemConfigError(f"--to: {text!r}: {error}; accepted: {ACCEPTED}") from None
    more = parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None
    if not host or not port or more:
        raise HemConfigError(f"--to: {text!r} is not {scheme}://HOST:PORT, with a port from 1 to 65535")
    shown = f"[{host}]" if ":" in host else host
    return Place(scheme, f"{scheme}://{shown}:{port}", host, port)
