"""Assuan, the protocol of GnuPG's parts, from its server's side (https://gnupg.org/documentation/manuals/assuan).

Lines of at most 1000 bytes; what goes as data is escaped like in URLs.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from hem_provider.adapters.scdaemon.faults import CardFault
from hem_provider.printable import printable

__all__ = ["LONGEST", "Closed", "Conversation", "escaped", "plus_escaped", "unescaped"]

#: Bytes of a line without its end.
LONGEST = 1000
#: Most bytes of an answer to an inquiry.
_ANSWER = 4096
_DATA = b"D "
_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")


class Closed(Exception):
    """The other side is gone, or takes nothing: then the ``OSError`` is its only argument."""


def escaped(data: bytes) -> bytes:
    """As a line of data has it."""
    return data.replace(b"%", b"%25").replace(b"\r", b"%0D").replace(b"\n", b"%0A")


def unescaped(data: bytes) -> bytes:
    """What a line of data says; a ``%`` without two hex digits is itself."""
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), data)


def plus_escaped(text: str) -> str:
    """A value of a status line, which ends at a blank."""
    return "".join(
        "+" if byte == 0x20 else chr(byte) if 0x20 < byte < 0x7F and byte not in b"+%" else f"%{byte:02X}"
        for byte in text.encode("utf-8", "replace")
    )


class Conversation:
    """One connection: lines come by ``reader`` and go by ``writer``. Every method raises ``Closed``."""

    def __init__(self, reader: BinaryIO, writer: BinaryIO) -> None:
        self._reader = reader
        self._writer = writer

    def line(self) -> bytes:
        """The next one. ``CardFault`` for one that is too long, all of which is read; ``Closed``."""
        line = self._read()
        if line.endswith(b"\n"):
            text = line.removesuffix(b"\n").removesuffix(b"\r")
            if len(text) <= LONGEST:
                return text
        while not line.endswith(b"\n"):
            line = self._read()
        raise CardFault("LINE_TOO_LONG", f"a line of more than {LONGEST} bytes")

    def _read(self) -> bytes:
        """A line, or as much of it as one may have. The end of one that never ended is none."""
        try:
            line = self._reader.readline(LONGEST + 2)
        except (OSError, ValueError):
            raise Closed from None
        if not line:
            raise Closed
        return line

    def write(self, line: bytes) -> None:
        """Send one line."""
        try:
            self._writer.write(line + b"\n")
            self._writer.flush()
        except ConnectionError:
            raise Closed from None
        except OSError as error:
            raise Closed(error) from None

    def data(self, data: bytes) -> None:
        """Send data, in as many lines as it takes."""
        step = (LONGEST - len(_DATA)) // 3
        for start in range(0, len(data), step):
            self.write(_DATA + escaped(data[start : start + step]))

    def status(self, keyword: str, *values: str) -> None:
        """Send a status line; the values stand in it as they are."""
        self.write(" ".join(("S", keyword, *values)).encode()[:LONGEST])

    def good(self, text: str = "") -> None:
        """The end of a command that was done."""
        self.write(f"OK {text}".rstrip().encode())

    def bad(self, fault: CardFault) -> None:
        """The end of one that was not."""
        self.write(f"ERR {fault.number} {printable(fault.text)}".encode("utf-8", "replace")[:LONGEST])

    def inquire(self, keyword: str, text: str = "") -> bytearray:
        """Ask the other side for data, of at most 4096 bytes, which the caller overwrites. ``CardFault``: it
        was cancelled, or is no answer."""
        self.write(f"INQUIRE {keyword} {text}".rstrip().encode()[:LONGEST])
        answer = bytearray()
        while True:
            line = self.line()
            if line == b"END":
                return answer
            if line in (b"CAN", b"CANCEL"):
                raise CardFault("CANCELED", f"the inquiry {keyword} was cancelled")
            if not line.startswith(_DATA):
                raise CardFault("INV_RESPONSE", f"the answer to {keyword} is no data")
            answer += unescaped(line[len(_DATA) :])
            if len(answer) > _ANSWER:
                raise CardFault("TOO_MUCH_DATA", f"the answer to {keyword} has more than {_ANSWER} bytes")
