"""One entry: a data key of its own that the device wraps, and a content sealed with it here.

::

    data key  32 random bytes, new for each content
    SEALED    nonce (12) ‖ AES-256-GCM(data key, content, AAD = pack(format, vault, SERVICE, USER)) ‖ tag
    WRAPPED   RFC 3394 by the device of  data key ‖ SHA-256(pack(format, vault, KID, SERVICE, USER))
    content   pack(service, user name, password) ‖ zero bytes up to a multiple of 64

``SERVICE`` and ``USER`` are the words of the file. What an entry is bound to stands twice: in the
additional data, and, with the wrapping key's id, inside the wrap, where only the holder of that key
can put it. So the id is bound and a move to another key yet leaves contents sealed as they are.
"""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hem_provider.adapters.keyring.vault.errors import EntryRejected
from hem_provider.adapters.keyring.vault.format import FORMAT, Record
from hem_provider.adapters.keyring.vault.names import name_bytes, pack
from hem_provider.records import field, frozen
from hem_provider.symmetric import AesKey, InvalidUnwrap, aes_key_unwrap, aes_key_wrap

__all__ = ["MAX_PASSWORD", "Content", "open_record", "rewrap_record", "seal_record"]

#: Largest password, in bytes of UTF-8. Configuration files and key files fit.
MAX_PASSWORD = 1024 * 1024

_KEY = 32
_NONCE = 12
_BLOCK = 64  # contents are padded to whole blocks: sizes tell little
_SIZE = 4


@frozen
class Content:
    """What an entry holds; the password never shows in its ``repr``."""

    service: str
    user: str
    password: str = field(repr=False)

    def encode(self) -> bytes:
        """``TypeError`` and ``ValueError`` for what is no text, or over the limits; it never quotes it."""
        parts = (name_bytes("service", self.service), name_bytes("user name", self.user), self._secret())
        data = pack(*parts)
        return data + bytes(-len(data) % _BLOCK)

    @classmethod
    def decode(cls, data: bytes) -> Content:
        """``ValueError`` unless ``encode`` makes it."""
        parts, rest = [], data
        for _ in range(3):
            size = int.from_bytes(rest[:_SIZE])
            parts.append(rest[_SIZE : _SIZE + size].decode("utf-8"))
            rest = rest[_SIZE + size :]
        content = cls(*parts)
        if content.encode() != data:
            raise ValueError("not in canonical form")
        return content

    def _secret(self) -> bytes:
        if not isinstance(self.password, str):
            raise TypeError(f"password: {type(self.password).__name__}; accepted: str")
        try:
            data = self.password.encode("utf-8")
        except UnicodeEncodeError:  # its message would quote the password
            raise ValueError("password: no Unicode text (a lone surrogate)") from None
        if len(data) > MAX_PASSWORD:
            raise ValueError(f"password: {len(data)} bytes; accepted: at most {MAX_PASSWORD}")
        return data


def seal_record(key: AesKey, kid: str, vault: str, words: tuple[bytes, bytes], content: Content) -> Record:
    """A new entry. One device call."""
    data = content.encode()
    data_key, nonce = os.urandom(_KEY), os.urandom(_NONCE)
    wrapped = aes_key_wrap(key, data_key + _binding(vault, kid, words))
    sealed = nonce + AESGCM(data_key).encrypt(nonce, data, _additional(vault, words))
    return Record(*words, kid, wrapped, sealed)


def open_record(key: AesKey, vault: str, record: Record) -> Content:
    """The content of an entry. One device call; one more, to make sure of the key, when rejected.

    ``EntryRejected`` when anything in it was altered, or it is of another name, key or vault.
    """
    data_key = _data_key(key, vault, record)
    nonce, ciphertext = record.sealed[:_NONCE], record.sealed[_NONCE:]
    try:
        data = AESGCM(data_key).decrypt(nonce, ciphertext, _additional(vault, _words(record)))
        return Content.decode(data)
    except (InvalidTag, ValueError):  # ValueError: too short for a nonce, or a content of a bad form
        raise EntryRejected("its sealed content was altered, or belongs to another entry") from None


def rewrap_record(key: AesKey, vault: str, record: Record, new_key: AesKey, new_kid: str) -> Record:
    """The entry under another key; its sealed content stays as it is. Two device calls.

    ``EntryRejected`` as ``open_record``, for the wrap alone.
    """
    data_key = _data_key(key, vault, record)
    wrapped = aes_key_wrap(new_key, data_key + _binding(vault, new_kid, _words(record)))
    return Record(record.service, record.user, new_kid, wrapped, record.sealed)


def _data_key(key: AesKey, vault: str, record: Record) -> bytes:
    try:
        payload = aes_key_unwrap(key, record.wrapped)
    except (InvalidUnwrap, ValueError) as error:  # ValueError: more than a device takes
        raise EntryRejected(f"its wrapped data key is not accepted: {error}") from None
    binding = _binding(vault, record.kid, _words(record))
    if len(payload) != _KEY + len(binding) or not hmac.compare_digest(payload[_KEY:], binding):
        raise EntryRejected("its data key belongs to another entry, key or vault")
    return payload[:_KEY]


def _words(record: Record) -> tuple[bytes, bytes]:
    return record.service, record.user


def _additional(vault: str, words: tuple[bytes, bytes]) -> bytes:
    return pack(FORMAT, vault.encode("ascii"), *words)


def _binding(vault: str, kid: str, words: tuple[bytes, bytes]) -> bytes:
    return hashlib.sha256(pack(FORMAT, vault.encode("ascii"), kid.encode("ascii"), *words)).digest()
