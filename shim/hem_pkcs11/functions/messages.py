"""Message-based functions (3.0: 5.10, 5.11, 5.14, 5.16)."""

from __future__ import annotations

from collections.abc import Callable
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


def _initializer(place: Place) -> Callable[[Session, Mechanism, int], None]:
    def init(session: Session, mechanism: Mechanism, handle: int) -> None:
        """Begin."""
        item = session.object(handle, CKR.KEY_HANDLE_INVALID)
        encrypting = place is Place.MESSAGE_ENCRYPT
        operation = message_cipher(item, mechanism, session.table.ivs, encrypting=encrypting)
        session.begin(place, operation, private=item.private)

    return init


def _one_message(place: Place) -> Callable[[Session, Parameters, Buffer, Buffer, int | None], Output]:
    def whole(
        session: Session, parameter: Parameters, associated: Buffer, data: Buffer, room: int | None
    ) -> Output:
        """One message at once."""
        return session.running(place, MessageCipher).whole(parameter, associated, data, room)

    return whole


def _beginning(place: Place) -> Callable[[Session, Parameters, Buffer], Parameters]:
    def begin(session: Session, parameter: Parameters, associated: Buffer) -> Parameters:
        """Start a message in parts."""
        return session.running(place, MessageCipher).begin(parameter, associated)

    return begin


def _part(place: Place) -> Callable[[Session, Parameters, Buffer, int | None, int], Output]:
    def take(session: Session, parameter: Parameters, part: Buffer, room: int | None, flags: int) -> Output:
        """A part; ``flags`` say CKF_END_OF_MESSAGE with the last one."""
        last = bool(flags & CKF.END_OF_MESSAGE)
        return session.running(place, MessageCipher).next(parameter, part, room, last=last)

    return take


def _final(place: Place) -> Callable[[Session], None]:
    def final(session: Session) -> None:
        """End the operation. Raises CKR_OPERATION_NOT_INITIALIZED when none runs."""
        session.require_running(place)
        session.end(place)

    return final


# Both directions, one line a function as C has them.
encrypt_init = _initializer(Place.MESSAGE_ENCRYPT)
encrypt_message = _one_message(Place.MESSAGE_ENCRYPT)
encrypt_begin = _beginning(Place.MESSAGE_ENCRYPT)
encrypt_next = _part(Place.MESSAGE_ENCRYPT)
encrypt_final = _final(Place.MESSAGE_ENCRYPT)
decrypt_init = _initializer(Place.MESSAGE_DECRYPT)
decrypt_message = _one_message(Place.MESSAGE_DECRYPT)
decrypt_begin = _beginning(Place.MESSAGE_DECRYPT)
decrypt_next = _part(Place.MESSAGE_DECRYPT)
decrypt_final = _final(Place.MESSAGE_DECRYPT)
sign_final = _final(Place.MESSAGE_SIGN)
verify_final = _final(Place.MESSAGE_VERIFY)


def sign_init(session: Session, mechanism: Mechanism, handle: int) -> None:
    """Begin. Raises as C_SignInit does."""
    mechanism_row(mechanism.type, CKF.MESSAGE_SIGN)
    item = signing_key(session, mechanism, handle)
    operation = MessageSign(item, lambda held: make_signer(session, mechanism, held))
    session.begin(Place.MESSAGE_SIGN, operation, private=item.private)


def sign_message(session: Session, _: Parameters, data: Buffer, room: int | None) -> bytes | int:
    """The signature of one message, or its size in bytes. Raises CKR_OPERATION_ACTIVE where a message
    in parts is not finished."""
    return session.running(Place.MESSAGE_SIGN, MessageSign).whole(data, room)


def sign_begin(session: Session, _: Parameters) -> None:
    """Start a message in parts. Raises CKR_OPERATION_ACTIVE where one is not finished."""
    session.running(Place.MESSAGE_SIGN, MessageSign).begin()


def sign_next(session: Session, _: Parameters, part: Buffer, room: int | bool | None) -> bytes | int | None:
    """``room`` is false where the caller wants no signature yet: more parts follow."""
    last = room is not False
    operation = session.running(Place.MESSAGE_SIGN, MessageSign)
    return operation.next(part, room if last else None, last=last)


def verify_init(session: Session, mechanism: Mechanism, handle: int) -> None:
    """Begin. Raises as C_VerifyInit does."""
    mechanism_row(mechanism.type, CKF.MESSAGE_VERIFY)
    item = session.object(handle, CKR.KEY_HANDLE_INVALID)
    operation = MessageVerify(item, lambda held: verifier(session.slot.hem, held, mechanism))
    session.begin(Place.MESSAGE_VERIFY, operation, private=item.private)


def verify_message(session: Session, _: Parameters, data: Buffer, signature: Buffer) -> None:
    """Check one message. Raises CKR_SIGNATURE_LEN_RANGE or CKR_SIGNATURE_INVALID."""
    session.running(Place.MESSAGE_VERIFY, MessageVerify).whole(data, signature)


def verify_begin(session: Session, _: Parameters) -> None:
    """Start a message in parts. Raises CKR_OPERATION_ACTIVE where one is not finished."""
    session.running(Place.MESSAGE_VERIFY, MessageVerify).begin()


def verify_next(session: Session, _: Parameters, part: Buffer, signature: Buffer) -> None:
    """A part; its ``signature`` is empty but for the last one, which gives the answer. Raises as
    ``verify_message`` does."""
    session.running(Place.MESSAGE_VERIFY, MessageVerify).next(part, signature)
