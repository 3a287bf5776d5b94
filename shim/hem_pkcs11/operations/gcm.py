"""AES-GCM (NIST SP 800-38D): plaintext leaves only after its tag has matched."""

from __future__ import annotations

from typing import Any

from hem_pkcs11.constants import CKR
from hem_pkcs11.mechanisms import MechanismRow, invalid_parameter
from hem_pkcs11.objects.object import Pkcs11Object
from hem_pkcs11.operations.modes import CipherOperation, cipher_context
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import Buffer
from hem_provider.records import frozen

__all__ = ["MAX_GCM", "GcmDecryption", "GcmEncryption", "gcm_context", "gcm_sizes"]

#: Tag lengths in bytes (NIST SP 800-38D 5.2.1.2).
TAGS = (4, 8, 12, 13, 14, 15, 16)
#: Bytes of a message, at most (5.2.1.1 there).
MAX_GCM = 2**36 - 32


class GcmEncryption(CipherOperation):
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


class GcmDecryption(CipherOperation):
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


@frozen
class GcmSizes:
    """Sizes in bytes: 8 to 128 of ``iv``, 4, 8 or 12 to 16 of ``tag``."""

    iv: int
    tag: int


def gcm_sizes(row: MechanismRow, iv: int, tag_bits: int) -> GcmSizes:
    """Check the IV's size in bytes and the tag's in bits (NIST SP 800-38D, 5.2.1). Raises
    CKR_MECHANISM_PARAM_INVALID."""
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

    context = cipher_context(item, modes.GCM(iv, min_tag_length=tag_size), encrypting=encrypting)
    if associated:
        context.authenticate_additional_data(associated)
    return context
