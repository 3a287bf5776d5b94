"""Whole files: encrypting for recipients, and decrypting with the file's key once it is found."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import BinaryIO

from hem_provider.adapters.age.armor import BEGIN, ArmorReader, armored
from hem_provider.adapters.age.errors import DamagedFile
from hem_provider.adapters.age.header import FILE_KEY, FIRST_LINE, Header, make_header, read_header
from hem_provider.adapters.age.recipients import Recipient, check_together
from hem_provider.adapters.age.stream import PIECE, Read, decrypted, encrypted

__all__ = ["EncryptedFile", "encrypt"]

#: Most bytes before the first line of a text, which are white space, and of that line.
_BLANKS, _FIRST = 1024, 128


def encrypt(read: Read, recipients: Sequence[Recipient], *, armor: bool = False) -> Iterator[bytes]:
    """The encrypted file, in pieces of at most 64 KiB and a tag, of what ``read`` gives.

    ``ValueError`` for no recipients or such as do not go together, before anything is read. Raises what
    ``read`` does.
    """
    file_key = os.urandom(FILE_KEY)
    header = make_header([each.wrap(file_key) for each in check_together(recipients)], file_key)
    pieces = chain([header], encrypted(file_key, read))
    return armored(pieces) if armor else pieces


class EncryptedFile:
    """A file whose header was read. ``armor``: whether it is text."""

    def __init__(self, source: BinaryIO) -> None:
        """Read the header. ``DamagedFile``, ``OSError``."""
        line = _first_line(source)
        self.armor = line.rstrip() == BEGIN
        reader: BinaryIO | io.BufferedReader = source
        if self.armor:
            reader = io.BufferedReader(ArmorReader(source), PIECE)
            line = reader.readline(len(FIRST_LINE))
        if line != FIRST_LINE:
            known = line.startswith(FIRST_LINE[: FIRST_LINE.index(b"/") + 1])
            raise DamagedFile(
                "a version of age's format that is not known here; known is age-encryption.org/v1"
                if known and line != FIRST_LINE[: len(line)]
                else "this is no file that age or hem encrypted"
            )
        self._reader = reader
        self.header: Header = read_header(reader)

    def plaintext(self, file_key: bytes) -> Iterator[bytes]:
        """What was encrypted, in pieces of at most 64 KiB: see ``stream.decrypted``."""
        return decrypted(file_key, self._read)

    def _read(self, size: int) -> bytes:
        return self._reader.read(size)


def _first_line(source: BinaryIO) -> bytes:
    """The first line that is not blank; blanks come before a text only."""
    left, blank = _BLANKS, False
    while left > 0:
        line = source.readline(_FIRST)
        if line.strip():
            stripped = line.lstrip()
            return stripped if not (blank or stripped != line) or stripped.rstrip() == BEGIN else b""
        if not line:
            break
        left, blank = left - len(line), True
    return b""
