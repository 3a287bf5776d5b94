"""``AESGCM`` as in ``cryptography.hazmat.primitives.ciphers.aead``, with a HEM key.

>>> from hem_provider.symmetric import AESGCM                          # doctest: +SKIP
>>> AESGCM(key).encrypt(nonce, b"data", b"additional data")            # doctest: +SKIP
"""

from __future__ import annotations

import hmac

from cryptography.exceptions import InvalidTag

from hem_provider.arguments import Buffer, as_bytes, size_of
from hem_provider.symmetric.family import check_use
from hem_provider.symmetric.gcm import TAG, GcmMessage
from hem_provider.symmetric.inputs import check_aead_sizes, check_room, write_into
from hem_provider.symmetric.resolve import AnyAesKey, aes_key

__all__ = ["AESGCM"]


class AESGCM:
    """AES-GCM with the caller's nonce, interoperable with every other implementation.

    Device calls, each way: one for a 12-byte nonce and up to 2016 bytes of data, one more for
    each further ``MAX_MESSAGE`` bytes; one more for any other nonce length (then the first brings the hash
    subkey, and 16 bytes fewer go with the second). Additional data cost nothing. A wrong tag costs
    one call, or two, whatever the size.

    The hash subkey passes through this process: see the documentation, and prefer ``seal``
    where the other side need not be a standard 12-byte-nonce implementation.
    """

    def __init__(self, key: AnyAesKey) -> None:
        """``key``: an AES key of family ``aead``. ``WrongKeyType``, ``WrongKeyFamily``. No I/O
        for a key that was listed."""
        self._key = aes_key(key, "aead")

    def __repr__(self) -> str:
        return f"<AESGCM {self._key!r}>"

    def encrypt(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None) -> bytes:
        """Ciphertext and 16-byte tag.

        ``nonce``: 8…128 bytes, never twice with one key; 12 is the standard. ``ValueError`` for
        another length, ``OverflowError`` over 2³¹ - 1 bytes, ``HemError`` when a call fails, in
        which case nothing is released.
        """
        check_use(self._key, "encrypt", "gcm")
        checked, clear, aad = _inputs(nonce, data, associated_data)
        message = GcmMessage(self._key, checked, len(clear))
        message.authenticate(aad)
        ciphertext = message.crypt(clear)
        message.absorb(ciphertext)
        return ciphertext + message.tag()

    def decrypt(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None) -> bytes:
        """The plaintext of ciphertext and 16-byte tag; the tag is checked before decrypting.

        ``InvalidTag`` when it does not match or ``data`` is shorter than a tag; otherwise as
        ``encrypt``.
        """
        check_use(self._key, "decrypt", "gcm")
        checked, sealed, aad = _inputs(nonce, data, associated_data)
        if len(sealed) < TAG:
            raise InvalidTag
        ciphertext, tag = sealed[:-TAG], sealed[-TAG:]
        message = GcmMessage(self._key, checked, len(ciphertext))
        message.authenticate(aad)
        message.absorb(ciphertext)
        if not hmac.compare_digest(message.tag(), tag):
            raise InvalidTag
        return message.crypt(ciphertext)

    def encrypt_into(
        self, nonce: Buffer, data: Buffer, associated_data: Buffer | None, buf: bytearray | memoryview
    ) -> int:
        """``encrypt`` into ``buf``, which holds at least 16 bytes more than ``data``; their number.

        ``buf`` is written only when all calls have succeeded.
        """
        check_room(buf, size_of("data", data) + TAG)
        return write_into(buf, self.encrypt(nonce, data, associated_data))

    def decrypt_into(
        self, nonce: Buffer, data: Buffer, associated_data: Buffer | None, buf: bytearray | memoryview
    ) -> int:
        """``decrypt`` into ``buf``, which holds at least the plaintext; its size.

        ``buf`` is written only when the tag has matched and all calls have succeeded.
        """
        check_room(buf, max(0, size_of("data", data) - TAG))
        return write_into(buf, self.decrypt(nonce, data, associated_data))


def _inputs(nonce: object, data: object, associated_data: object) -> tuple[bytes, bytes, bytes]:
    aad = b"" if associated_data is None else associated_data
    check_aead_sizes(nonce=nonce, data=data, associated_data=aad)
    checked = as_bytes("nonce", nonce)
    if not 8 <= len(checked) <= 128:
        raise ValueError(f"Nonce must be between 8 and 128 bytes; it has {len(checked)}")
    return checked, as_bytes("data", data), as_bytes("associated_data", aad)
