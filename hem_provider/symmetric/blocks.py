"""What a device does with one AES key, and how long inputs are cut into its calls.

Everything in this package is composed over the protocol ``AesKey``. ``hem_provider.symmetric.hem``
implements it over a device; the tests run the published vectors through the same code over a local
AES-ECB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from hem_provider.errors import HemError
from hem_provider.records import mutable

__all__ = ["BLOCK", "AesKey", "Progress", "in_calls", "progress", "whole_blocks", "xor"]

#: Bytes of an AES block.
BLOCK = 16


@runtime_checkable
class AesKey(Protocol):
    """One AES key behind a boundary that the key does not cross; each method is one device call.

    Raises ``HemError`` children for the device. A rejected integrity check is not an error here
    but ``None``: the device cannot say whether data or key is at fault, so callers ask
    ``confirm`` before they blame the data. Sizes are those of firmware 1.2.2; a key may have a
    ``max_message``, the bytes that its device takes at once in the place of ``MAX_MESSAGE``.
    """

    @property
    def name(self) -> str:
        """How messages call this key; nothing secret."""

    @property
    def key_size(self) -> int:
        """Width in bits: 128, 192 or 256."""

    def ecb_encrypt(self, blocks: bytes) -> bytes:
        """16…``MAX_MESSAGE`` bytes, a multiple of 16."""

    def ecb_decrypt(self, blocks: bytes) -> bytes:
        """16…``MAX_MESSAGE`` bytes, a multiple of 16."""

    def wrap(self, data: bytes, icv: bytes | None = None) -> bytes:
        """RFC 3394 over 16…``MAX_MESSAGE`` bytes, a multiple of 8; ``icv``: 8 bytes, or the default one."""

    def unwrap(self, data: bytes, icv: bytes | None = None) -> bytes | None:
        """The inverse, 24…``MAX_MESSAGE`` + 8 bytes; ``None`` when the device rejects it."""

    def gcm_encrypt(self, data: bytes, aad: bytes) -> tuple[bytes, bytes, bytes]:
        """AES-GCM over 1…``MAX_MESSAGE`` bytes with a 16-byte nonce that the device makes.

        ``aad``: at most 16 bytes. Returns nonce, ciphertext, 16-byte tag.
        """

    def gcm_decrypt(self, nonce: bytes, ciphertext: bytes, tag: bytes, aad: bytes) -> bytes | None:
        """The inverse; ``None`` when the device rejects it."""

    def confirm(self) -> None:
        """Make sure that the key is still there: ``HemKeyNotFound`` otherwise."""


@mutable
class Progress:
    """How far an operation of several calls has come, in bytes of its input."""

    done: int = 0


@contextmanager
def progress(what: str, total: int) -> Iterator[Progress]:
    """Add to a device's or transport's error how many of ``total`` bytes were done before it.

    Only where that says something: for 0 bytes the error stays as it is.
    """
    state = Progress()
    try:
        yield state
    except HemError as error:
        if total:
            error.args = (
                f"{error}; {what} stopped after {state.done} of {total} bytes, nothing was released",
            )
        raise


def in_calls(operation: Callable[[bytes], bytes], data: bytes, each: int, *, what: str) -> bytes:
    """``operation`` over ``data`` (whole blocks) in pieces of at most ``each`` bytes: all or an error."""
    if len(data) <= each:
        return operation(data) if data else b""
    parts = []
    with progress(what, len(data)) as state:
        for start in range(0, len(data), each):
            parts.append(operation(data[start : start + each]))
            state.done = min(start + each, len(data))
    return b"".join(parts)


def whole_blocks(size: int) -> int:
    """Blocks of 16 bytes that hold ``size`` bytes."""
    return -(-size // BLOCK)


def xor(left: bytes, right: bytes) -> bytes:
    """Bytewise, for equal lengths. One big-integer operation: hundreds of MB/s."""
    return (int.from_bytes(left, "little") ^ int.from_bytes(right, "little")).to_bytes(len(left), "little")
