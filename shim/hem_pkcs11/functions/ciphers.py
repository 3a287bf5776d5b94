"""Encrypting and decrypting (5.8, 5.9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKR
from hem_pkcs11.operations import Place
from hem_pkcs11.operations.cipher import CipherOperation, cipher
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


def _initializer(place: Place, *, encrypting: bool) -> Callable[[Session, Mechanism | None, int], None]:
    def init(session: Session, mechanism: Mechanism | None, handle: int) -> None:
        """Begin; no mechanism ends what runs."""
        if mechanism is None:
            session.end(place)
            return
        session.require_idle(place)
        item = session.object(handle, CKR.KEY_HANDLE_INVALID)
        session.begin(place, cipher(item, mechanism, encrypting=encrypting), private=item.private)

    return init


def _one_part(place: Place) -> Callable[[Session, Buffer, int | None], Result]:
    def whole(session: Session, data: Buffer, room: int | None) -> Result:
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
        return session.running(place, CipherOperation).update(part, room)

    return update


def _last(place: Place) -> Callable[[Session, int | None], Result]:
    def final(session: Session, room: int | None) -> Result:
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
