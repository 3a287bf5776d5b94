"""The header of an age file: the file's key for each of its recipients, and a MAC over all of it
(https://age-encryption.org/v1, "Header")."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from typing import Protocol

from hem_provider.adapters.age.errors import DamagedFile
from hem_provider.records import frozen

__all__ = [
    "FILE_KEY",
    "FIRST_LINE",
    "Header",
    "LineReader",
    "LineSource",
    "Stanza",
    "hkdf",
    "make_header",
    "read_header",
    "read_stanza",
]

#: Bytes of a file's key.
FILE_KEY = 16
FIRST_LINE = b"age-encryption.org/v1\n"
#: Most stanzas of a file, and bytes of its header: what is read before anything is known to be authentic.
MOST_STANZAS, MOST_BYTES = 20_000, 32 * 1024 * 1024
_STANZA, _END = b"-> ", b"---"
_COLUMNS, _MAC = 64, 32
_LINE_BYTES = _COLUMNS // 4 * 3


class LineSource(Protocol):
    """What a header is read from, as ``io.BufferedReader``."""

    def readline(self, size: int, /) -> bytes:
        """At most ``size`` bytes of the next line, with its end."""


@frozen
class Stanza:
    """The file's key for one recipient: the type's name, arguments, and the wrapped key."""

    kind: str
    arguments: tuple[str, ...]
    body: bytes

    def encoded(self) -> bytes:
        """Its lines."""
        text = _encode(self.body)
        lines = [text[start : start + _COLUMNS] for start in range(0, len(text) + 1, _COLUMNS)]
        return "\n".join([" ".join(["->", self.kind, *self.arguments]), *lines, ""]).encode("ascii")

    def data(self, place: int, size: int) -> bytes:
        """The argument at ``place`` as ``size`` bytes. ``DamagedFile``."""
        found = _decoded(self.arguments[place].encode("ascii"))
        if found is None or len(found) != size:
            raise DamagedFile(f"a stanza {self.kind}: argument {place + 1} is not {size} bytes in base64")
        return found


@frozen
class Header:
    """``authenticated``: the bytes that ``mac`` is over."""

    stanzas: tuple[Stanza, ...]
    authenticated: bytes
    mac: bytes

    def check(self, file_key: bytes) -> None:
        """``DamagedFile`` unless the header is as it was made with this key."""
        if not hmac.compare_digest(_mac(file_key, self.authenticated), self.mac):
            raise DamagedFile("the header was changed: its MAC does not match")


def make_header(stanzas: Iterable[Stanza], file_key: bytes) -> bytes:
    """The lines of a header."""
    lines = FIRST_LINE + b"".join(each.encoded() for each in stanzas) + _END
    return lines + f" {_encode(_mac(file_key, lines))}\n".encode("ascii")


def read_header(source: LineSource) -> Header:
    """What follows the first line, up to the payload. ``DamagedFile``, ``OSError``."""
    reader = LineReader(source)
    stanzas: list[Stanza] = []
    line = reader.next()
    while not line.startswith(_END):
        stanzas.append(read_stanza(line, reader))
        if len(stanzas) > MOST_STANZAS:
            raise DamagedFile(f"more than {MOST_STANZAS} recipients; that many are read at most")
        line = reader.next()
    mac = _decoded(line[len(_END) + 1 :])
    if line[len(_END) :][:1] != b" " or mac is None or len(mac) != _MAC:
        raise DamagedFile(f"the header's last line is not '---' and {_MAC} bytes in base64")
    if not stanzas:
        raise DamagedFile("the header has no recipient")
    read = b"".join(reader.lines)
    return Header(tuple(stanzas), FIRST_LINE + read[: len(read) - len(line) - 1 + len(_END)], mac)


class LineReader:
    """Lines of at most ``MOST_BYTES`` in all. ``lines``: those that were read, with their ends; ``ended``:
    whether the source ended in the place of the next."""

    def __init__(self, source: LineSource) -> None:
        self._source = source
        self._left = MOST_BYTES
        self.lines: list[bytes] = []
        self.ended = False

    def next(self) -> bytes:
        """The next line, without its end. ``DamagedFile``, ``OSError``."""
        line = self._source.readline(self._left)
        self._left -= len(line)
        if not line.endswith(b"\n"):
            self.ended = self._left > 0
            raise DamagedFile(
                "the file ends in its header" if self._left else f"a header of more than {MOST_BYTES} bytes"
            )
        self.lines.append(line)
        return line[:-1]


def read_stanza(line: bytes, reader: LineReader) -> Stanza:
    """The stanza that begins with ``line``. ``DamagedFile``, ``OSError``."""
    words = line.removeprefix(_STANZA).split(b" ")
    if not line.startswith(_STANZA) or not all(each and all(33 <= c <= 126 for c in each) for each in words):
        raise DamagedFile("the header has a line that is neither a recipient's nor the last")
    kind, *arguments = (each.decode("ascii") for each in words)
    body: list[bytes] = []
    while True:
        part = _decoded(reader.next())
        if part is None or len(part) > _LINE_BYTES:
            raise DamagedFile(f"a recipient's lines are not base64 in lines of {_COLUMNS} characters")
        body.append(part)
        if len(part) < _LINE_BYTES:
            return Stanza(kind, tuple(arguments), b"".join(body))


def hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 (RFC 5869): 32 bytes."""
    extracted = hmac.digest(salt or bytes(32), secret, hashlib.sha256)
    return hmac.digest(extracted, info + b"\x01", hashlib.sha256)


def _mac(file_key: bytes, lines: bytes) -> bytes:
    return hmac.digest(hkdf(file_key, b"", b"header"), lines, hashlib.sha256)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).rstrip(b"=").decode("ascii")


def _decoded(text: bytes) -> bytes | None:
    """Base64 without padding; ``None`` for what is not in the one form that its bytes have."""
    try:
        data = binascii.a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
    except ValueError:
        return None
    return data if _encode(data).encode("ascii") == text else None
