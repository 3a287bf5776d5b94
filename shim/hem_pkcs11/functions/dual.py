"""Two operations at once (5.17): each part goes through both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hem_pkcs11.operations import Place
from hem_pkcs11.operations.digest import DigestOperation
from hem_pkcs11.operations.modes import CipherOperation
from hem_pkcs11.operations.sign import SignOperation
from hem_pkcs11.operations.verify import VerifyOperation
from hem_pkcs11.values import Buffer

if TYPE_CHECKING:
    from hem_pkcs11.sessions import Session

__all__ = ["decrypt_digest_update", "decrypt_verify_update", "digest_encrypt_update", "sign_encrypt_update"]


def _both(
    session: Session,
    place: Place,
    other: DigestOperation | SignOperation | VerifyOperation,
    part: Buffer,
    room: int | None,
) -> bytes | int:
    """A part through the cipher at ``place``; ``other`` takes in the plaintext when that is through."""
    result = session.running(place, CipherOperation).update(part, room)
    if isinstance(result, bytes):
        other.update(part if place is Place.ENCRYPT else result)
    return result


def digest_encrypt_update(session: Session, part: Buffer, room: int | None) -> bytes | int:
    """C_DigestEncryptUpdate: the ciphertext of a part that is digested too, or its size. Raises what
    C_DigestUpdate and C_EncryptUpdate do."""
    return _both(session, Place.ENCRYPT, session.running(Place.DIGEST, DigestOperation), part, room)


def sign_encrypt_update(session: Session, part: Buffer, room: int | None) -> bytes | int:
    """C_SignEncryptUpdate: the ciphertext of a part that is signed too, or its size. Raises what both do."""
    return _both(session, Place.ENCRYPT, session.running(Place.SIGN, SignOperation), part, room)


def decrypt_digest_update(session: Session, part: Buffer, room: int | None) -> bytes | int:
    """C_DecryptDigestUpdate: the plaintext of a part, which is digested, or its size. Raises what both do."""
    return _both(session, Place.DECRYPT, session.running(Place.DIGEST, DigestOperation), part, room)


def decrypt_verify_update(session: Session, part: Buffer, room: int | None) -> bytes | int:
    """C_DecryptVerifyUpdate: the plaintext of a part, which is verified, or its size. Raises what both do."""
    return _both(session, Place.DECRYPT, session.running(Place.VERIFY, VerifyOperation), part, room)
