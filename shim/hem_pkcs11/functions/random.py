"""Random numbers (5.21): the operating system's generator, with the device's entropy mixed in where
the configuration says ``device_random = true``."""

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
    """Raises CKR_RANDOM_SEED_NOT_SUPPORTED: both generators seed themselves."""
    raise Pkcs11Error(CKR.RANDOM_SEED_NOT_SUPPORTED)


def generate_random(session: Session, size: int) -> bytes:
    """``size`` bytes. Asks the device, where it does at all, once in a mebibyte. Raises CKR_ARGUMENTS_BAD
    for more than ``MAX_RANDOM`` at once."""
    if size > MAX_RANDOM:
        raise Pkcs11Error(CKR.ARGUMENTS_BAD, f"{size} random bytes at once; at most {MAX_RANDOM}")
    made, entropy = os.urandom(size), session.slot.entropy
    return made if entropy is None else entropy.mix(session.slot, made)
