"""Signing and verifying (5.13, 5.15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKR
from hem_pkcs11.operations import Place
from hem_pkcs11.operations.sign import SignOperation
from hem_pkcs11.operations.verify import VerifyOperation, verifier
from hem_pkcs11.returns import BufferTooSmall, Pkcs11Error
from hem_pkcs11.values import Buffer, Mechanism

if TYPE_CHECKING:
    from hem_pkcs11.sessions import Session

__all__ = [
    "sign",
    "sign_final",
    "sign_init",
    "sign_update",
    "verify",
    "verify_final",
    "verify_init",
    "verify_update",
]


def sign_init(session: Session, mechanism: Mechanism | None, handle: int) -> None:
    """Begin; no mechanism ends what runs."""
    if mechanism is None:
        session.end(Place.SIGN)
        return
    session.require_idle(Place.SIGN)
    session.require_user()
    item = session.slot.objects.get(handle, private=True, bad=CKR.KEY_HANDLE_INVALID)
    session.begin(Place.SIGN, SignOperation(session.slot.hem, item, mechanism))


def sign(session: Session, data: Buffer, room: int | None) -> bytes | int:
    operation = session.running(Place.SIGN, SignOperation)
    if operation.parts:
        session.end(Place.SIGN)
        raise Pkcs11Error(CKR.OPERATION_ACTIVE, "C_Sign cannot finish what C_SignUpdate began")
    return _finish_sign(session, operation, data, room)


def sign_update(session: Session, part: Buffer) -> None:
    operation = session.running(Place.SIGN, SignOperation)
    try:
        operation.update(part)
    except Pkcs11Error:
        session.end(Place.SIGN)
        raise


def sign_final(session: Session, room: int | None) -> bytes | int:
    return _finish_sign(session, session.running(Place.SIGN, SignOperation), None, room)


def _finish_sign(
    session: Session, operation: SignOperation, data: Buffer | None, room: int | None
) -> bytes | int:
    """A size query and a short buffer leave the operation running, everything else ends it."""
    try:
        result = operation.finish(data, room)
    except BufferTooSmall:
        raise
    except BaseException:
        session.end(Place.SIGN)
        raise
    if isinstance(result, bytes):
        session.end(Place.SIGN)
    return result


def verify_init(session: Session, mechanism: Mechanism | None, handle: int) -> None:
    """Begin; no mechanism ends what runs. Public keys need no login."""
    if mechanism is None:
        session.end(Place.VERIFY)
        return
    session.require_idle(Place.VERIFY)
    item = session.slot.objects.get(handle, private=session.logged_in, bad=CKR.KEY_HANDLE_INVALID)
    session.begin(Place.VERIFY, verifier(session.slot.hem, item, mechanism))


def verify(session: Session, data: Buffer, signature: Buffer) -> None:
    operation = session.running(Place.VERIFY, VerifyOperation)
    try:
        if operation.parts:
            raise Pkcs11Error(CKR.OPERATION_ACTIVE, "C_Verify cannot finish what C_VerifyUpdate began")
        operation.finish(data, signature)
    finally:
        session.end(Place.VERIFY)


def verify_update(session: Session, part: Buffer) -> None:
    operation = session.running(Place.VERIFY, VerifyOperation)
    try:
        operation.update(part)
    except Pkcs11Error:
        session.end(Place.VERIFY)
        raise


def verify_final(session: Session, signature: Buffer) -> None:
    operation = session.running(Place.VERIFY, VerifyOperation)
    try:
        operation.finish(None, signature)
    finally:
        session.end(Place.VERIFY)
