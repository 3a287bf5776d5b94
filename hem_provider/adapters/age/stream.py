"""The payload of an age file: chunks of 64 KiB, each encrypted and authenticated, of which the last one
says that it is (https://age-encryption.org/v1, "Payload")."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from hem_provider.adapters.age.errors import DamagedFile
from hem_provider.adapters.age.header import hkdf

__all__ = ["CHUNK", "PIECE", "Read", "decrypted", "encrypted", "sealed_size"]

#: Reads so many bytes, fewer only at the end.
Read = Callable[[int], bytes]

#: Bytes of plaintext in a chunk, and what encrypting adds.
CHUNK, _TAG = 64 * 1024, 16
_NONCE = 16
#: Chunks that are read at once.
_BATCH = 16
#: Bytes of plaintext in them.
PIECE = _BATCH * CHUNK
_CUT = "the file was cut: its end is missing. What came before is as it was encrypted"
_LONGER = "there is something after the end of the file. What came before is all that was encrypted"


def sealed_size(size: int) -> int:
    """Bytes of the payload of so many bytes."""
    return _NONCE + size + max(1, -(-size // CHUNK)) * _TAG


def encrypted(file_key: bytes, read: Read) -> Iterator[bytes]:
    """The payload, chunk by chunk. Raises what ``read`` does."""
    nonce = os.urandom(_NONCE)
    yield nonce
    cipher = ChaCha20Poly1305(hkdf(file_key, nonce, b"payload"))
    number, piece = 0, read(PIECE)
    while True:
        following = read(PIECE) if len(piece) == PIECE else b""
        view = memoryview(piece)
        for start in range(0, len(piece) or 1, CHUNK):
            last = not following and start + CHUNK >= len(piece)
            yield cipher.encrypt(_nonce(number, last), view[start : start + CHUNK], None)
            number += 1
        if not following:
            return
        piece = following


def decrypted(file_key: bytes, read: Read) -> Iterator[bytes]:
    """The plaintext, chunk by chunk, each of which is authentic; the whole of it once the iterator has ended.

    ``DamagedFile`` for a chunk that was changed, and for a file that was cut or added to. Raises what
    ``read`` does.
    """
    nonce = read(_NONCE)
    if len(nonce) != _NONCE:
        raise DamagedFile(_CUT)
    cipher = ChaCha20Poly1305(hkdf(file_key, nonce, b"payload"))
    sealed, size = CHUNK + _TAG, _BATCH * (CHUNK + _TAG)
    number, piece = 0, read(size)
    while True:
        following = read(size) if len(piece) == size else b""
        view = memoryview(piece)
        for start in range(0, len(piece) or 1, sealed):
            last = not following and start + sealed >= len(piece)
            data, fault = _opened(cipher, number, view[start : start + sealed], last=last)
            if data:
                yield data
            if fault is not None:
                raise DamagedFile(fault)
            number += 1
        if not following:
            return
        piece = following


def _opened(
    cipher: ChaCha20Poly1305, number: int, chunk: memoryview, *, last: bool
) -> tuple[bytes, str | None]:
    """What is authentic of a chunk, and what is wrong with the file here."""
    if last and number and len(chunk) == _TAG:
        return b"", "its last chunk is empty, which no file's is that has others"
    # A whole chunk that is authentic but stands in the wrong place tells what was done to the file.
    misplaced = ((not last, _CUT if last else _LONGER),) if len(chunk) == CHUNK + _TAG else ()
    for as_last, fault in ((last, None), *misplaced):
        try:
            return cipher.decrypt(_nonce(number, as_last), chunk, None), fault
        except InvalidTag:
            continue
    return b"", f"the file was changed or cut after {number * CHUNK} bytes: what follows has another tag"


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")
