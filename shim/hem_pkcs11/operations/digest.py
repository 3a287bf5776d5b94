"""Digests, computed in the host's process, and what ``cryptography`` calls them."""

from __future__ import annotations

import hashlib
from typing import Any

from hem_pkcs11.constants import CKF
from hem_pkcs11.mechanisms import mechanism_row, no_parameter
from hem_pkcs11.operations import deliver
from hem_pkcs11.values import Buffer, Mechanism

__all__ = ["DigestOperation", "hash_algorithm"]


class DigestOperation:
    """``C_DigestInit`` … ``C_Digest`` or ``C_DigestUpdate``, ``C_DigestFinal``. ``parts``: how many were
    taken in.

    Raises CKR_MECHANISM_INVALID or CKR_MECHANISM_PARAM_INVALID when made.
    """

    def __init__(self, mechanism: Mechanism) -> None:
        row = mechanism_row(mechanism.type, CKF.DIGEST)
        no_parameter(row, mechanism)
        self._hash = hashlib.new(row.hash, usedforsecurity=False)
        self.parts = 0

    def update(self, part: Buffer) -> None:
        """Take in a part."""
        self._hash.update(part)
        self.parts += 1

    def finish(self, data: Buffer | None, room: int | None) -> bytes | int:
        """The digest, or its size in bytes when that is all that is asked. Raises CKR_BUFFER_TOO_SMALL."""
        if not deliver(self._hash.digest_size, room):
            return self._hash.digest_size
        if data is not None:
            self._hash.update(data)
        return self._hash.digest()

    def saved(self) -> DigestOperation:
        """The same digest going on by itself from here."""
        twin = object.__new__(DigestOperation)
        twin._hash, twin.parts = self._hash.copy(), self.parts
        return twin

    def close(self) -> None:
        """Nothing to overwrite: hashlib keeps its state to itself."""


def hash_algorithm(name: str) -> Any:
    """``cryptography``'s hash object for hashlib's name.

    >>> hash_algorithm("sha3_256").name
    'sha3-256'
    """
    from cryptography.hazmat.primitives import hashes

    return getattr(hashes, name.upper())()
