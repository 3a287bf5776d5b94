"""Sealing what Kubernetes encrypts its objects with, by keys of a device: one call each way.

A ciphertext is a version (1) and what ``symmetric.seal`` makes, bound to the key's id. The id is the KID:
what a key has sealed is opened by that key alone, whichever seals by now.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.exceptions import InvalidTag

from hem_provider.device.hem import Hem
from hem_provider.device.key import Key
from hem_provider.errors import HemConfigError, HemError, HemKeyNotFound, HemRequestRefused
from hem_provider.symmetric import AESGCM, open, seal
from hem_provider.symmetric.sealing import OVERHEAD

__all__ = ["MOST_CIPHERTEXT", "MOST_PLAINTEXT", "Envelopes", "NotSealed"]

_VERSION = b"\x01"
#: Bound to each ciphertext, before the key's id: nothing else that a key sealed is one.
_PURPOSE = b"hem-provider kubernetes kms v2\0"
#: Characters of a key's id that messages show.
_SHOWN = 40
#: Most bytes that Kubernetes takes of a ciphertext (k8s.io/apiserver, envelope/kmsv2).
MOST_CIPHERTEXT = 1024
#: Additional data of this size cost 16 bytes more (``symmetric.sealing``).
MOST_PLAINTEXT = MOST_CIPHERTEXT - len(_VERSION) - OVERHEAD - 16


class NotSealed(HemError):
    """The ciphertext was made by another key, or was changed."""


class Envelopes:
    """Writes with the first of ``keys``, and reads with all of them.

    ``HemConfigError`` for keys that are none for this, or given twice. No I/O for keys that were listed.
    """

    def __init__(self, hem: Hem, keys: Sequence[Key]) -> None:
        for each in keys:
            AESGCM(each)  # says what is wrong with it
        self._hem = hem
        self._keys = {each.kid: each for each in keys}
        if not keys or len(self._keys) < len(keys):
            raise HemConfigError(f"keys: {len(keys)}, of which {len(self._keys)} differ; accepted: 1 or more")
        self._writing = keys[0]

    @property
    def key_id(self) -> str:
        """Of the key that writes."""
        return self._writing.kid

    def encrypt(self, plaintext: bytes) -> bytes:
        """The ciphertext: one call. ``HemRequestRefused`` for no byte or more than ``MOST_PLAINTEXT``; what
        using a key raises."""
        if not 0 < len(plaintext) <= MOST_PLAINTEXT:
            raise HemRequestRefused(
                f"plaintext: {len(plaintext)} bytes; accepted: 1 to {MOST_PLAINTEXT}, such as a key's seed"
            )
        return _VERSION + seal(self._writing, plaintext, _bound(self._writing))

    def decrypt(self, ciphertext: bytes, key_id: str) -> bytes:
        """The plaintext: one call. ``HemKeyNotFound`` for a key that is not of these, ``HemRequestRefused``
        for a ciphertext of another form, ``NotSealed``; what using a key raises."""
        key = self._keys.get(key_id)
        if key is None:
            raise HemKeyNotFound(
                f"key_id: {key_id[:_SHOWN]!r}; there are: {', '.join(self._keys)}. Give it with --key, too"
            )
        size = len(ciphertext)
        if size > MOST_CIPHERTEXT or ciphertext[:1] != _VERSION:
            raise HemRequestRefused(
                f"ciphertext: {size} bytes that begin with {ciphertext[:1].hex() or 'nothing'}; accepted: at "
                f"most {MOST_CIPHERTEXT}, beginning with {_VERSION.hex()}"
            )
        try:
            return open(key, ciphertext[1:], _bound(key))
        except InvalidTag:
            raise NotSealed(f"ciphertext: {size} bytes that key {key_id} has not sealed, or not so") from None

    def check(self) -> None:
        """Whether the device is there to be used: one call without a login, none of a key. Raises why not."""
        self._hem.status()


def _bound(key: Key) -> bytes:
    return _PURPOSE + key.kid.encode("ascii")
