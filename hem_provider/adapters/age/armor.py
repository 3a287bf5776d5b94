"""Age files as text: strict PEM (RFC 7468 §3; https://age-encryption.org/v1, "ASCII armor")."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from hem_provider.adapters.age.errors import DamagedFile

__all__ = ["BEGIN", "ArmorReader", "ByteSource", "armored"]

BEGIN, END = b"-----BEGIN AGE ENCRYPTED FILE-----", b"-----END AGE ENCRYPTED FILE-----"
_COLUMNS = 64
_LINE = _COLUMNS // 4 * 3
#: Lines that are decoded at once where they all look alike.
_LINES = 1024
_BLOCK = _LINES * (_COLUMNS + 1)
#: Most white space after the end.
_BLANKS = 1024


class ByteSource(Protocol):
    """What is read from, as ``io.BufferedReader``."""

    def read(self, size: int, /) -> bytes:
        """So many bytes, fewer only at the end."""


def armored(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The text of ``pieces`` of a file."""
    yield BEGIN + b"\n"
    held = b""
    for piece in pieces:
        held += piece
        whole = len(held) // _LINE * _LINE
        yield _lines(held[:whole])
        held = held[whole:]
    yield _lines(held)
    yield END + b"\n"


def _lines(data: bytes) -> bytes:
    text = base64.b64encode(data)
    return b"".join(text[start : start + _COLUMNS] + b"\n" for start in range(0, len(text), _COLUMNS))


class ArmorReader(io.RawIOBase):
    """The bytes of a text whose first line was read. Reading raises ``DamagedFile``, ``OSError``."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._held = b""  # text that was read
        self._ready = memoryview(b"")  # bytes that were decoded
        self._short = self._ended = False

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As ``io.RawIOBase``."""
        room = memoryview(buffer).cast("B")
        while not self._ready and not self._ended:
            self._ready = memoryview(self._block())
        count = min(len(room), len(self._ready))
        room[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _block(self) -> bytes:
        if not self._held and not self._short:
            self._held = self._source.read(_BLOCK)
            held = self._held
            alike = len(held) == _BLOCK and held[_COLUMNS :: _COLUMNS + 1] == b"\n" * _LINES
            if alike and held.count(b"\n") == _LINES and b"=" not in held:
                self._held = b""
                return _decoded(held.replace(b"\n", b""))
        return self._line()

    def _line(self) -> bytes:
        line = self._next()
        if line == END:
            more = self._source.read(_BLANKS + 1)
            if (self._held + more).strip() or len(more) > _BLANKS:
                raise DamagedFile("there is something after the end of the armor")
            self._ended = True
            return b""
        if not line or len(line) > _COLUMNS or self._short:
            raise DamagedFile(f"a line of the armor is not of {_COLUMNS} characters")
        data = _decoded(line)
        # The last line may be full.
        self._short = len(data) < _LINE
        return data

    def _next(self) -> bytes:
        """The next line, without its end."""
        line, end, rest = self._held.partition(b"\n")
        if not end:
            self._held += self._source.read(_BLOCK)
            line, end, rest = self._held.partition(b"\n")
        self._held = rest
        if not end and line != END:
            raise DamagedFile("the armor was cut: its last line is missing")
        return line.removesuffix(b"\r")


def _decoded(text: bytes) -> bytes:
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        data = b""
    if base64.b64encode(data) != text:
        raise DamagedFile("a line of the armor is not base64")
    return data
