"""Encrypting and decrypting with AES: ECB, CBC, CBC with padding, CTR, GCM.

Output comes as early as the mode permits; plaintext of GCM only after its tag has matched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hem_pkcs11.constants import CKA, CKF, CKO, CKR
from hem_pkcs11.mechanisms import MechanismRow, Scheme, mechanism_row, no_parameter
from hem_pkcs11.objects.device_keys import DeviceKey
from hem_pkcs11.objects.object import Pkcs11Object
from hem_pkcs11.operations import Pending, deliver
from hem_pkcs11.operations.sign import check_class
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.symmetric import aes_cipher
from hem_pkcs11.values import Buffer, CtrParameters, GcmParameters, Mechanism
from hem_provider.errors import MessageTooLong

__all__ = [
    "BLOCK",
    "MAX_GCM",
    "CipherOperation",
    "check_family",
    "cipher",
    "gcm_context",
    "gcm_sizes",
    "invalid_parameter",
]

BLOCK = 16
#: Tag lengths in bytes (NIST SP 800-38D 5.2.1.2).
TAGS = (4, 8, 12, 13, 14, 15, 16)
#: Bytes of a message, at most (5.2.1.1 there).
MAX_GCM = 2**36 - 32


def check_family(item: Pkcs11Object, row: MechanismRow) -> None:
    """Refuse an AES key of the device that is kept to other modes."""
    if isinstance(item, DeviceKey):
        kept = item.key.family_mark
        if kept and row.family not in kept:
            raise Pkcs11Error(
                CKR.KEY_FUNCTION_NOT_PERMITTED,
                f"{item.describe()} is kept to the mode family {', '.join(sorted(kept))}; "
                f"CKM_{row.type.name} is of {row.family}",
            )


class CipherOperation:
    """One direction of one mode. Bytes come in by ``update`` and leave as the mode gives them."""

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
        """What ``part`` gives now; its size when only that is asked."""
        self._check_not_ending()
        size = self._released(self._taken + len(part)) - self._released(self._taken)
        if not deliver(size, room):
            return size
        self.parts += 1
        with self._length_told():
            return self._feed(part)

    def finish(self, room: int | None) -> bytes | int:
        """The rest."""
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
        self._context = None


class _Blocks(CipherOperation):
    """ECB, CBC: whole blocks only."""

    def _released(self, taken: int) -> int:
        return taken // BLOCK * BLOCK

    def _check_length(self, size: int) -> None:
        if size % BLOCK:
            raise Pkcs11Error(self._length_error, f"{size} bytes are not whole blocks of {BLOCK}")

    def _end(self) -> bytes:
        self._check_length(self._taken)
        return super()._end()


class _Padded(CipherOperation):
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


class _Counter(CipherOperation):
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


class _GcmEncryption(CipherOperation):
    """The tag follows the ciphertext."""

    def __init__(self, context: Any, tag_size: int) -> None:
        super().__init__(context, encrypting=True)
        self._tag_size = tag_size

    def _rest(self, taken: int) -> int:  # noqa: ARG002
        return self._tag_size

    def _check_length(self, size: int) -> None:
        if size > MAX_GCM:
            raise Pkcs11Error(self._length_error, f"{size} bytes; GCM takes {MAX_GCM} at most")

    def _feed(self, part: Buffer) -> bytes:
        self._check_length(self._taken + len(part))
        return super()._feed(part)

    def _end(self) -> bytes:
        rest = super()._end()
        return rest + bytes(self._context.tag[: self._tag_size])


class _GcmDecryption(CipherOperation):
    """Keeps everything until the tag, the last bytes, has matched."""

    def __init__(self, context: Any, tag_size: int) -> None:
        super().__init__(context, encrypting=False)
        self._tag_size = tag_size
        self._data = bytearray()

    def _released(self, taken: int) -> int:  # noqa: ARG002
        return 0

    def _rest(self, taken: int) -> int:
        return max(taken - self._tag_size, 0)

    def _check_length(self, size: int) -> None:
        if not self._tag_size <= size <= MAX_GCM + self._tag_size:
            raise Pkcs11Error(
                self._length_error, f"{size} bytes; a tag of {self._tag_size} and up to {MAX_GCM} before it"
            )

    def _feed(self, part: Buffer) -> bytes:
        self._taken += len(part)
        self._data += part
        return b""

    def _end(self) -> bytes:
        from cryptography.exceptions import InvalidTag

        self._check_length(self._taken)
        ciphertext, tag = bytes(self._data[: -self._tag_size]), bytes(self._data[-self._tag_size :])
        try:
            return bytes(self._context.update(ciphertext) + self._context.finalize_with_tag(tag))
        except InvalidTag:
            raise Pkcs11Error(CKR.ENCRYPTED_DATA_INVALID, "the tag does not match") from None


def invalid_parameter(row: MechanismRow, what: str) -> Pkcs11Error:
    return Pkcs11Error(CKR.MECHANISM_PARAM_INVALID, f"CKM_{row.type.name}: the parameter is {what}")


def _context(item: Pkcs11Object, mode: Any, *, encrypting: bool) -> Any:
    made = aes_cipher(item, mode)
    return made.encryptor() if encrypting else made.decryptor()


def _ecb(item: Pkcs11Object, row: MechanismRow, mechanism: Mechanism, encrypting: bool) -> CipherOperation:
    from cryptography.hazmat.primitives.ciphers import modes

    no_parameter(row, mechanism)
    return _Blocks(_context(item, modes.ECB(), encrypting=encrypting), encrypting=encrypting)  # noqa: S305


def _cbc(item: Pkcs11Object, row: MechanismRow, mechanism: Mechanism, encrypting: bool) -> CipherOperation:
    from cryptography.hazmat.primitives.ciphers import modes

    iv = mechanism.parameter
    if not isinstance(iv, bytes) or len(iv) != BLOCK:
        raise invalid_parameter(row, "an IV of 16 bytes")
    made = _Padded if row.scheme is Scheme.CBC_PAD else _Blocks
    return made(_context(item, modes.CBC(iv), encrypting=encrypting), encrypting=encrypting)


def _ctr(item: Pkcs11Object, row: MechanismRow, mechanism: Mechanism, encrypting: bool) -> CipherOperation:
    from cryptography.hazmat.primitives.ciphers import modes

    given = mechanism.parameter
    if not isinstance(given, CtrParameters) or not 1 <= given.counter_bits <= 8 * BLOCK:
        raise invalid_parameter(row, "CK_AES_CTR_PARAMS with 1 to 128 counter bits")
    return _Counter(
        _context(item, modes.CTR(given.block), encrypting=encrypting), given, encrypting=encrypting
    )


def _gcm(item: Pkcs11Object, row: MechanismRow, mechanism: Mechanism, encrypting: bool) -> CipherOperation:
    given = mechanism.parameter
    if not isinstance(given, GcmParameters):
        raise invalid_parameter(row, "CK_GCM_PARAMS")
    checked = gcm_sizes(row, len(given.iv), given.tag_bits)
    context = gcm_context(item, given.iv, given.associated_data, checked.tag, encrypting=encrypting)
    return (_GcmEncryption if encrypting else _GcmDecryption)(context, checked.tag)


@dataclass(frozen=True, slots=True)
class GcmSizes:
    """In bytes."""

    iv: int
    tag: int


def gcm_sizes(row: MechanismRow, iv: int, tag_bits: int) -> GcmSizes:
    """Check them. Raises CKR_MECHANISM_PARAM_INVALID."""
    if not 8 <= iv <= 128:
        raise invalid_parameter(row, f"with an IV of 8 to 128 bytes, not {iv}")
    if tag_bits % 8 or tag_bits // 8 not in TAGS:
        raise invalid_parameter(
            row, f"with a tag of {', '.join(str(8 * each) for each in TAGS)} bits, not {tag_bits}"
        )
    return GcmSizes(iv, tag_bits // 8)


def gcm_context(item: Pkcs11Object, iv: bytes, associated: bytes, tag_size: int, *, encrypting: bool) -> Any:
    """A running GCM with its associated data taken in."""
    from cryptography.hazmat.primitives.ciphers import modes

    context = _context(item, modes.GCM(iv, min_tag_length=tag_size), encrypting=encrypting)
    if associated:
        context.authenticate_additional_data(associated)
    return context


_MAKERS: Mapping[Scheme, Callable[[Pkcs11Object, MechanismRow, Mechanism, bool], CipherOperation]] = {
    Scheme.ECB: _ecb,
    Scheme.CBC: _cbc,
    Scheme.CBC_PAD: _cbc,
    Scheme.CTR: _ctr,
    Scheme.GCM: _gcm,
}


def cipher(item: Pkcs11Object, mechanism: Mechanism, *, encrypting: bool) -> CipherOperation:
    """The operation for ``C_EncryptInit`` or ``C_DecryptInit``."""
    row = mechanism_row(mechanism.type, CKF.ENCRYPT if encrypting else CKF.DECRYPT)
    check_class(item, row, CKO.SECRET_KEY)
    item.require(CKA.ENCRYPT if encrypting else CKA.DECRYPT)
    check_family(item, row)
    return _MAKERS[row.scheme](item, row, mechanism, encrypting)
