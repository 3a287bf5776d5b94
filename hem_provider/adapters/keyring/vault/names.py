"""Service and user name as a vault file shows them.

Clear: percent-encoded UTF-8 (RFC 3986 §2.1), so that people can read and search them; a single
``%`` stands for an empty name. Hidden: MACs that only the device can make::

    secret  = HMAC-SHA256 by the device of  format ‖ vault ‖ SHA-256(service)
    SERVICE = HMAC-SHA256(secret, "service")        USER = HMAC-SHA256(secret, "user" ‖ user name)

One device call finds one entry or all of a service; entries of one service can be seen to belong
together.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Protocol
from urllib.parse import quote, unquote_to_bytes

from cryptography.hazmat.primitives import hashes

from hem_provider.adapters.keyring.vault.errors import VaultDamaged
from hem_provider.adapters.keyring.vault.format import FORMAT, b64url
from hem_provider.symmetric import HMAC, MacKey

__all__ = ["MAX_NAME", "ClearNames", "HiddenNames", "Names", "name_bytes", "pack", "readable"]

#: Longest service or user name, in bytes of UTF-8.
MAX_NAME = 4096
_SAFE = "/:@+,="  # beside letters, digits and _.-~
_EMPTY = b"%"


def pack(*parts: bytes) -> bytes:
    """Each part after its size in 4 bytes: no two lists of parts give the same bytes."""
    return b"".join(len(part).to_bytes(4) + part for part in parts)


def name_bytes(what: str, name: str) -> bytes:
    """UTF-8. ``TypeError`` for what is no text; ``ValueError`` for text that has no UTF-8 (lone
    surrogates) and for over 4096 bytes."""
    if not isinstance(name, str):
        raise TypeError(f"{what}: {type(name).__name__}; accepted: str")
    try:
        data = name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{what}: character {error.start + 1} is no Unicode text (a lone surrogate)"
        ) from None
    if len(data) > MAX_NAME:
        raise ValueError(f"{what}: {len(data)} bytes; accepted: at most {MAX_NAME}")
    return data


def readable(word: bytes) -> str:
    """The name that ``ClearNames`` writes as ``word``; ``VaultDamaged`` if it writes none so."""
    try:
        name = "" if word == _EMPTY else unquote_to_bytes(word).decode("utf-8")
        canonical = _clear(name) == word
    except UnicodeError:
        canonical = False
    if not canonical:
        raise VaultDamaged(f"a name of {len(word)} characters is not encoded as this package does it")
    return name


def _clear(name: str) -> bytes:
    return quote(name, safe=_SAFE).encode("ascii") or _EMPTY


class Names(Protocol):
    """How a vault writes names. Names are at most 4096 bytes of UTF-8 each (``ValueError``)."""

    def words(self, service: str, user: str) -> tuple[bytes, bytes]:
        """The file's words for a service and a user name."""

    def service_word(self, service: str) -> bytes:
        """The file's word for a service."""


class ClearNames:
    """Readable names; no device call."""

    def words(self, service: str, user: str) -> tuple[bytes, bytes]:
        """See ``Names``."""
        name_bytes("user name", user)
        return self.service_word(service), _clear(user)

    def service_word(self, service: str) -> bytes:
        """See ``Names``."""
        name_bytes("service", service)
        return _clear(service)


class HiddenNames:
    """MACs in place of names; one device call for each method."""

    def __init__(self, key: MacKey, vault: str) -> None:
        self._key = key
        self._vault = vault.encode("ascii")

    def words(self, service: str, user: str) -> tuple[bytes, bytes]:
        """See ``Names``."""
        own = name_bytes("user name", user)
        secret = self._secret(service)
        return _word(secret, b"service"), _word(secret, b"user" + own)

    def service_word(self, service: str) -> bytes:
        """See ``Names``."""
        return _word(self._secret(service), b"service")

    def _secret(self, service: str) -> bytes:
        mac = HMAC(self._key, hashes.SHA256())
        mac.update(pack(FORMAT, self._vault, hashlib.sha256(name_bytes("service", service)).digest()))
        return mac.finalize()


def _word(secret: bytes, data: bytes) -> bytes:
    return b64url(hmac.digest(secret, data, "sha256"))
