"""Message-based functions (3.0: 5.10, 5.11, 5.14, 5.16)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKF, CKR
from hem_pkcs11.functions.signatures import make_signer, signing_key
from hem_pkcs11.mechanisms import mechanism_row
from hem_pkcs11.operations import Place
from hem_pkcs11.operations.messages import MessageCipher, MessageSign, MessageVerify, message_cipher
from hem_pkcs11.operations.verify import verifier
from hem_pkcs11.values import Buffer, GcmMessageParameters, Mechanism

if TYPE_CHECKING:
    from hem_pkcs11.sessions import Session

__all__ = [
    "decrypt_begin",
    "decrypt_final",
    "decrypt_init",
    "decrypt_message",
    "decrypt_next",
    "encrypt_begin",
    "encrypt_final",
    "encrypt_init",
    "encrypt_message",
    "encrypt_next",
    "sign_begin",
    "sign_final",
    "sign_init",
    "sign_message",
    "sign_next",
    "verify_begin",
    "verify_final",
    "verify_init",
    "verify_message",
    "verify_next",
]

Parameters = GcmMessageParameters | None
Output = tuple[Parameters, bytes | int]


def _init_cipher(session: Session, mechanism: Mechanism | None, handle: int, place: Place) -> None:
    if mechanism is None:
        session.end(place)
        return
    session.require_idle(place)
    item = session.object(handle, CKR.KEY_HANDLE_INVALID)
    operation = message_cipher(item, mechanism, session.table.ivs, encrypting=place is Place.MESSAGE_ENCRYPT)
    session.begin(place, operation, private=item.private)


def _final(session: Session, place: Place) -> None:
    session.require_running(place)
    session.end(place)


def encrypt_init(session: Session, mechanism: Mechanism | None, handle: int) -> None:
    _init_cipher(session, mechanism, handle, Place.MESSAGE_ENCRYPT)


def encrypt_message(
    session: Session, parameter: Parameters, associated: Buffer, data: Buffer, room: int | None
) -> Output:
    return session.running(Place.MESSAGE_ENCRYPT, MessageCipher).whole(parameter, associated, data, room)


def encrypt_begin(session: Session, parameter: Parameters, associated: Buffer) -> Parameters:
    return session.running(Place.MESSAGE_ENCRYPT, MessageCipher).begin(parameter, associated)


def encrypt_next(
    session: Session, parameter: Parameters, part: Buffer, room: int | None, flags: int
) -> Output:
    last = bool(flags & CKF.END_OF_MESSAGE)
    return session.running(Place.MESSAGE_ENCRYPT, MessageCipher).next(parameter, part, room, last=last)


def encrypt_final(session: Session) -> None:
    _final(session, Place.MESSAGE_ENCRYPT)


def decrypt_init(session: Session, mechanism: Mechanism | None, handle: int) -> None:
    _init_cipher(session, mechanism, handle, Place.MESSAGE_DECRYPT)


def decrypt_message(
    session: Session, parameter: Parameters, associated: Buffer, data: Buffer, room: int | None
) -> Output:
    return session.running(Place.MESSAGE_DECRYPT, MessageCipher).whole(parameter, associated, data, room)


def decrypt_begin(session: Session, parameter: Parameters, associated: Buffer) -> Parameters:
    return session.running(Place.MESSAGE_DECRYPT, MessageCipher).begin(parameter, associated)


def decrypt_next(
    session: Session, parameter: Parameters, part: Buffer, room: int | None, flags: int
) -> Output:
    last = bool(flags & CKF.END_OF_MESSAGE)
    return session.running(Place.MESSAGE_DECRYPT, MessageCipher).next(parameter, part, room, last=last)


def decrypt_final(session: Session) -> None:
    _final(session, Place.MESSAGE_DECRYPT)


def sign_init(session: Session, mechanism: Mechanism | None, handle: int) -> None:
    if mechanism is None:
        session.end(Place.MESSAGE_SIGN)
        return
    session.require_idle(Place.MESSAGE_SIGN)
    mechanism_row(mechanism.type, CKF.MESSAGE_SIGN)
    item = signing_key(session, mechanism, handle)
    operation = MessageSign(item, lambda held: make_signer(session, mechanism, held))
    session.begin(Place.MESSAGE_SIGN, operation, private=item.private)


def sign_message(session: Session, _: Parameters, data: Buffer, room: int | None) -> bytes | int:
    return session.running(Place.MESSAGE_SIGN, MessageSign).whole(data, room)


def sign_begin(session: Session, _: Parameters) -> None:
    session.running(Place.MESSAGE_SIGN, MessageSign).begin()


def sign_next(session: Session, _: Parameters, part: Buffer, room: int | bool | None) -> bytes | int | None:
    """``room`` is false where the caller wants no signature yet: more parts follow."""
    last = room is not False
    operation = session.running(Place.MESSAGE_SIGN, MessageSign)
    return operation.next(part, room if last else None, last=last)


def sign_final(session: Session) -> None:
    _final(session, Place.MESSAGE_SIGN)


def verify_init(session: Session, mechanism: Mechanism | None, handle: int) -> None:
    if mechanism is None:
        session.end(Place.MESSAGE_VERIFY)
        return
    session.require_idle(Place.MESSAGE_VERIFY)
    mechanism_row(mechanism.type, CKF.MESSAGE_VERIFY)
    item = session.object(handle, CKR.KEY_HANDLE_INVALID)
    operation = MessageVerify(item, lambda held: verifier(session.slot.hem, held, mechanism))
    session.begin(Place.MESSAGE_VERIFY, operation, private=item.private)


def verify_message(session: Session, _: Parameters, data: Buffer, signature: Buffer) -> None:
    session.running(Place.MESSAGE_VERIFY, MessageVerify).whole(data, signature)


def verify_begin(session: Session, _: Parameters) -> None:
    session.running(Place.MESSAGE_VERIFY, MessageVerify).begin()


def verify_next(session: Session, _: Parameters, part: Buffer, signature: Buffer) -> None:
    session.running(Place.MESSAGE_VERIFY, MessageVerify).next(part, signature)


def verify_final(session: Session) -> None:
    _final(session, Place.MESSAGE_VERIFY)
