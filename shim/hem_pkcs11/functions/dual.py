"""Two operations at once (5.17): each part goes through both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hem_pkcs11.functions.ciphers import decrypt_update, encrypt_update
from hem_pkcs11.operations import Place
from hem_pkcs11.operations.cipher import CipherOperation
from hem_pkcs11.operations.digest import DigestOperation
from hem_pkcs11.operations.sign import SignOperation
from hem_pkcs11.operations.verify import VerifyOperation
from hem_pkcs11.values import Buffer

if TYPE_CHECKING:
    from hem_pkcs11.sessions import Session

__all__ = ["decrypt_digest_update", "decrypt_verify_update", "digest_encrypt_update", "sign_encrypt_update"]


def _encrypting(
    session: Session, other: DigestOperation | SignOperation, part: Buffer, room: int | None
) -> bytes | int:
    session.running(Place.ENCRYPT, CipherOperation)
    result = encrypt_update(session, part, room)
    if isinstance(result, bytes):
        other.update(part)
    return result


def _decrypting(
    session: Session, other: DigestOperation | VerifyOperation, part: Buffer, room: int | None
) -> bytes | int:
    session.running(Place.DECRYPT, CipherOperation)
    result = decrypt_update(session, part, room)
    if isinstance(result, bytes):
        other.update(result)
    return result


def digest_encrypt_update(session: Session, part: Buffer, room: int | None) -> bytes | int:
    return _encrypting(session, session.running(Place.DIGEST, DigestOperation), part, room)


def sign_encrypt_update(session: Session, part: Buffer, room: int | None) -> bytes | int:
    return _encrypting(session, session.running(Place.SIGN, SignOperation), part, room)


def decrypt_digest_update(session: Session, part: Buffer, room: int | None) -> bytes | int:
    return _decrypting(session, session.running(Place.DIGEST, DigestOperation), part, room)


def decrypt_verify_update(session: Session, part: Buffer, room: int | None) -> bytes | int:
    return _decrypting(session, session.running(Place.VERIFY, VerifyOperation), part, room)
