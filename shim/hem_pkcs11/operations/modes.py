"""ECB, CBC and CTR as running operations, and what all modes have in common.

Output comes as early as the mode permits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hem_pkcs11.aes import aes_cipher
from hem_pkcs11.constants import CKR
from hem_pkcs11.objects.object import Pkcs11Object
from hem_pkcs11.operations import Pending, deliver
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import Buffer, CtrParameters
from hem_provider.errors import MessageTooLong

__all__ = ["BLOCK", "Blocks", "CipherOperation", "Counter", "Padded", "cipher_context"]

#: Bytes of a block of AES.
BLOCK = 16


def cipher_context(item: Pkcs11Object, mode: Any, *, encrypting: bool) -> Any:
    """A running mode of ``cryptography``'s kind, with a key here or in the device."""
    made = aes_cipher(item, mode)
    return made.encryptor() if encrypting else made.decryptor()


class CipherOperation:
    """One direction of one mode. Bytes come in by ``update`` and leave as the mode gives them. ``parts``: how
    many were taken in.

    Lengths that the mode does not take are CKR_DATA_LEN_RANGE, or CKR_ENCRYPTED_DATA_LEN_RANGE when
    decrypting; a padding or tag that does not fit is CKR_ENCRYPTED_DATA_INVALID.
    """

    def __init__(self, context: Any, *, encrypting: bool) -> None:
        self.parts = 0
        self._context = context
        self._encrypting = encrypting
        self._taken = 0
        self._pending = Pending()

    #: Whether ``_rest`` tells the size and not only the most that there can be.
    _exact = True

    @property
    def _length_error(self) -> CKR:
        return CKR.DATA_LEN_RANGE if self._encrypting else CKR.ENCRYPTED_DATA_LEN_RANGE

    def update(self, part: Buffer, room: int | None) -> bytes | int:
        """What ``part`` gives now; its size in bytes when only that is asked. Raises CKR_OPERATION_ACTIVE
        where a result waits to be taken, and CKR_BUFFER_TOO_SMALL, having taken nothing in."""
        self._check_not_ending()
        size = self._released(self._taken + len(part)) - self._released(self._taken)
        if not deliver(size, room):
            return size
        self.parts += 1
        with self._length_told():
            return self._feed(part)

    def finish(self, room: int | None) -> bytes | int:
        """The rest; its largest size in bytes when only that is asked. Raises CKR_BUFFER_TOO_SMALL, and
        what the class tells."""
        with self._length_told():
            return self._pending.deliver(0, self._rest(self._taken), room, self._end)

    def whole(self, data: Buffer, room: int | None) -> bytes | int:
        """All at once. A second try for a larger buffer gets what the first one made.

        ``data`` are not read when their length alone is wrong or the buffer cannot hold what they give.
        """
        size = len(data)
        if room is not None:
            self._check_length(size)
        most = self._released(size) + self._rest(size)
        least = most if self._exact else self._released(size)
        with self._length_told():
            return self._pending.deliver(least, most, room, lambda: self._feed(data) + self._end())

    @contextmanager
    def _length_told(self) -> Iterator[None]:
        """More bytes than a key in the device may be used for are the right code for this direction."""
        try:
            yield
        except MessageTooLong as error:
            raise Pkcs11Error(self._length_error, str(error)) from None

    def _check_not_ending(self) -> None:
        if self._pending.waiting:
            raise Pkcs11Error(CKR.OPERATION_ACTIVE, "the result waits to be taken; no more can come in")

    def _feed(self, part: Buffer) -> bytes:
        self._taken += len(part)
        return bytes(self._context.update(bytes(part)))

    def _check_length(self, size: int) -> None:
        """Refuse a length that the mode does not take."""

    def _released(self, taken: int) -> int:
        """Bytes that have come out after ``taken`` went in."""
        return taken

    def _rest(self, taken: int) -> int:  # noqa: ARG002 - the others need it
        """At most so many come at the end."""
        return 0

    def _end(self) -> bytes:
        return bytes(self._context.finalize())

    def close(self) -> None:
        """Let go of key and state."""
        self._context = None


class Blocks(CipherOperation):
    """ECB, CBC: whole blocks only."""

    def _released(self, taken: int) -> int:
        return taken // BLOCK * BLOCK

    def _check_length(self, size: int) -> None:
        if size % BLOCK:
            raise Pkcs11Error(self._length_error, f"{size} bytes are not whole blocks of {BLOCK}")

    def _end(self) -> bytes:
        self._check_length(self._taken)
        return super()._end()


class Padded(CipherOperation):
    """CBC with the padding of PKCS#7."""

    def __init__(self, context: Any, *, encrypting: bool) -> None:
        super().__init__(context, encrypting=encrypting)
        from cryptography.hazmat.primitives.padding import PKCS7

        padding = PKCS7(8 * BLOCK)
        self._padding: Any = padding.padder() if encrypting else padding.unpadder()
        self._exact = encrypting

    def _released(self, taken: int) -> int:
        if self._encrypting:
            return taken // BLOCK * BLOCK
        return max(taken // BLOCK - 1, 0) * BLOCK  # the last whole block may be padding

    def _rest(self, taken: int) -> int:  # noqa: ARG002
        return BLOCK

    def _check_length(self, size: int) -> None:
        if not self._encrypting and (size % BLOCK or not size):
            raise Pkcs11Error(self._length_error, f"{size} bytes are not whole blocks of {BLOCK}")

    def _feed(self, part: Buffer) -> bytes:
        self._taken += len(part)
        if self._encrypting:
            return bytes(self._context.update(self._padding.update(bytes(part))))
        return bytes(self._padding.update(self._context.update(bytes(part))))

    def _end(self) -> bytes:
        if self._encrypting:
            return bytes(self._context.update(self._padding.finalize()) + self._context.finalize())
        self._check_length(self._taken)
        try:
            return bytes(self._padding.update(self._context.finalize()) + self._padding.finalize())
        except ValueError:
            raise Pkcs11Error(CKR.ENCRYPTED_DATA_INVALID, "the padding is not that of PKCS#7") from None


class Counter(CipherOperation):
    """CTR, within the bits that the parameter gives the counter."""

    def __init__(self, context: Any, parameter: CtrParameters, *, encrypting: bool) -> None:
        super().__init__(context, encrypting=encrypting)
        limit = 2**parameter.counter_bits
        self._blocks = limit - int.from_bytes(parameter.block, "big") % limit

    def _check_length(self, size: int) -> None:
        if -(-size // BLOCK) > self._blocks:
            raise Pkcs11Error(self._length_error, "the counter would start over and repeat its keystream")

    def _feed(self, part: Buffer) -> bytes:
        self._check_length(self._taken + len(part))
        return super()._feed(part)
