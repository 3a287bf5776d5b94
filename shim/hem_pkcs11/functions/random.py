"""Random numbers (5.21): the operating system's generator."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKR
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import Buffer

if TYPE_CHECKING:
    from hem_pkcs11.sessions import Session

__all__ = ["generate_random", "seed_random"]

#: Most that is made in one call, in bytes.
MAX_RANDOM = 2**24


def seed_random(_: Session, _seed: Buffer) -> None:
    raise Pkcs11Error(CKR.RANDOM_SEED_NOT_SUPPORTED)


def generate_random(_: Session, size: int) -> bytes:
    """``size`` bytes; the device has no call for random numbers worth its round trip."""
    if size > MAX_RANDOM:
        raise Pkcs11Error(CKR.ARGUMENTS_BAD, f"{size} random bytes at once; at most {MAX_RANDOM}")
    return os.urandom(size)
