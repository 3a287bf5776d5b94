"""Running GCM operations: ``cryptography``'s AEAD contexts over device calls."""

from __future__ import annotations

import hmac

from cryptography.exceptions import AlreadyUpdated, InvalidTag, NotYetFinalized
from cryptography.hazmat.primitives.ciphers import AEADDecryptionContext, AEADEncryptionContext

from hem_provider.arguments import Buffer, as_bytes
from hem_provider.symmetric.blocks import AesKey
from hem_provider.symmetric.contexts import RunningCipher
from hem_provider.symmetric.gcm import MAX_AAD, MAX_DATA, TAG, GcmMessage, check_calls

__all__ = ["GcmDecryption", "GcmEncryption"]


class _GcmContext(RunningCipher):
    """Additional data first, then data; counts both."""

    def __init__(self, key: AesKey, nonce: bytes) -> None:
        super().__init__()
        self._key = key
        self._nonce = nonce
        self._aad: list[bytes] = []
        self._aad_size = 0
        self._size = 0

    def authenticate_additional_data(self, data: Buffer) -> None:
        """Add additional data; ``AlreadyUpdated`` once data have been given. No call."""
        self._check_running()
        if self._size:
            raise AlreadyUpdated("Update has been called on this context.")
        aad = as_bytes("data", data)
        if self._aad_size + len(aad) > MAX_AAD:
            raise ValueError(f"AES-GCM authenticates at most {MAX_AAD} bytes of additional data")
        self._aad.append(aad)
        self._aad_size += len(aad)

    def _counted(self, data: bytes) -> int:
        size = self._size + len(data)
        if size > MAX_DATA:
            raise ValueError(f"AES-GCM takes at most {MAX_DATA} bytes of data; these would be {size}")
        check_calls(self._key, self._nonce, size)
        return size

    def _begin(self, size: int | None) -> GcmMessage:
        message = GcmMessage(self._key, self._nonce, size)
        message.authenticate(b"".join(self._aad))
        return message


class GcmEncryption(_GcmContext, AEADEncryptionContext):
    """Ciphertext is returned at once, the tag is there after ``finalize``.

    Calls as ``AESGCM.encrypt``, however the data are cut into updates.
    """

    def __init__(self, key: AesKey, nonce: bytes) -> None:
        super().__init__(key, nonce)
        self._message: GcmMessage | None = None
        self._tag: bytes | None = None

    @property
    def tag(self) -> bytes:
        """The 16-byte tag; ``NotYetFinalized`` before the end."""
        if self._tag is None:
            raise NotYetFinalized("You must finalize encryption before getting the tag.")
        return self._tag

    def _process(self, data: bytes) -> bytes:
        size = self._counted(data)
        if not data:
            return b""
        if self._message is None:
            self._message = self._begin(None)
        ciphertext = self._message.crypt(data)
        self._message.absorb(ciphertext)
        self._size = size
        return ciphertext

    def finalize(self) -> bytes:
        """End; always empty. With no data at all the calls for the tag are made here."""
        self._check_running()
        message = self._begin(0) if self._message is None else self._message
        self._tag = message.tag()
        message.discard()
        self._message, self._finalized = None, True
        return b""


class GcmDecryption(_GcmContext, AEADDecryptionContext):
    """Releases nothing before the tag has matched: ``update`` returns nothing, the end returns all.

    Ciphertext is kept in memory until then. Calls as ``AESGCM.decrypt``, all at the end.
    """

    def __init__(self, key: AesKey, nonce: bytes, tag: bytes | None, min_tag_length: int) -> None:
        super().__init__(key, nonce)
        self._tag = tag
        self._shortest = min_tag_length
        self._ciphertext: list[bytes] = []

    def _process(self, data: bytes) -> bytes:
        self._size = self._counted(data)
        self._ciphertext.append(data)
        return b""

    def finalize(self) -> bytes:
        """The whole plaintext. ``InvalidTag``; ``ValueError`` when no tag was given with the mode.

        When a call fails the context is as before, and the end can be tried again.
        """
        self._check_running()
        if self._tag is None:
            raise ValueError("Authentication tag must be provided when decrypting.")
        return self._verified(self._tag)

    def finalize_with_tag(self, tag: bytes) -> bytes:
        """The whole plaintext, with the tag given only now: at least the mode's ``min_tag_length``.
        ``InvalidTag``; ``ValueError`` for a tag that is too short or too long, or where the mode has one."""
        self._check_running()
        given = as_bytes("tag", tag)
        if self._tag is not None:
            raise ValueError(
                "tag provided both in mode and in call with finalize_with_tag: "
                "tag should only be provided once"
            )
        if len(given) < self._shortest:
            raise ValueError(
                f"Authentication tag must be {self._shortest} bytes or longer; it has {len(given)}"
            )
        if len(given) > TAG:
            raise ValueError(f"Authentication tag cannot be more than {TAG} bytes; it has {len(given)}")
        return self._verified(given)

    def _verified(self, tag: bytes) -> bytes:
        message = self._begin(self._size)
        ciphertext = b"".join(self._ciphertext)
        message.absorb(ciphertext)
        if not hmac.compare_digest(message.tag()[: len(tag)], tag):
            self._finalized = True
            raise InvalidTag
        clear = message.crypt(ciphertext)
        self._finalized = True
        self._ciphertext.clear()
        return clear
