"""Encrypting and decrypting (5.8, 5.9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKR
from hem_pkcs11.operations import Place
from hem_pkcs11.operations.cipher import cipher
from hem_pkcs11.operations.modes import CipherOperation
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import Buffer, Mechanism

if TYPE_CHECKING:
    from hem_pkcs11.sessions import Session

__all__ = [
    "decrypt",
    "decrypt_final",
    "decrypt_init",
    "decrypt_update",
    "encrypt",
    "encrypt_final",
    "encrypt_init",
    "encrypt_update",
]

Result = bytes | int


def _initializer(place: Place, *, encrypting: bool) -> Callable[[Session, Mechanism, int], None]:
    def init(session: Session, mechanism: Mechanism, handle: int) -> None:
        """Begin."""
        item = session.object(handle, CKR.KEY_HANDLE_INVALID)
        session.begin(place, cipher(item, mechanism, encrypting=encrypting), private=item.private)

    return init


def _one_part(place: Place) -> Callable[[Session, Buffer, int | None], Result]:
    def whole(session: Session, data: Buffer, room: int | None) -> Result:
        """All of the data at once: the result, or its size in bytes when only that is asked.

        Raises CKR_OPERATION_NOT_INITIALIZED, CKR_OPERATION_ACTIVE where parts were taken already,
        CKR_BUFFER_TOO_SMALL, and CKR_DATA_LEN_RANGE, CKR_ENCRYPTED_DATA_LEN_RANGE or
        CKR_ENCRYPTED_DATA_INVALID for data that the mode does not take.
        """
        operation = session.running(place, CipherOperation)
        if operation.parts:
            raise Pkcs11Error(CKR.OPERATION_ACTIVE, "what began in parts ends in parts")
        result = operation.whole(data, room)
        if isinstance(result, bytes):
            session.end(place)
        return result

    return whole


def _part(place: Place) -> Callable[[Session, Buffer, int | None], Result]:
    def update(session: Session, part: Buffer, room: int | None) -> Result:
        """What a part gives now, or its size in bytes. Raises CKR_OPERATION_NOT_INITIALIZED,
        CKR_OPERATION_ACTIVE where a result waits to be taken, and CKR_BUFFER_TOO_SMALL."""
        return session.running(place, CipherOperation).update(part, room)

    return update


def _last(place: Place) -> Callable[[Session, int | None], Result]:
    def final(session: Session, room: int | None) -> Result:
        """What is left, or its size in bytes. Raises as the call for all at once does."""
        result = session.running(place, CipherOperation).finish(room)
        if isinstance(result, bytes):
            session.end(place)
        return result

    return final


encrypt_init = _initializer(Place.ENCRYPT, encrypting=True)
encrypt = _one_part(Place.ENCRYPT)
encrypt_update = _part(Place.ENCRYPT)
encrypt_final = _last(Place.ENCRYPT)
decrypt_init = _initializer(Place.DECRYPT, encrypting=False)
decrypt = _one_part(Place.DECRYPT)
decrypt_update = _part(Place.DECRYPT)
decrypt_final = _last(Place.DECRYPT)
