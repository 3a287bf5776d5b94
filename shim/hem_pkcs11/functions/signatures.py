"""Signing and verifying (5.13, 5.15), and 3.2's verifying of a signature given first (5.16)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKF, CKR
from hem_pkcs11.functions.running import finishing
from hem_pkcs11.mechanisms import row_of
from hem_pkcs11.operations import Place
from hem_pkcs11.operations.mac import MAC_SCHEMES
from hem_pkcs11.operations.sign import SignOperation, signer
from hem_pkcs11.operations.verify import VerifyOperation, verifier
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import Buffer, Mechanism

if TYPE_CHECKING:
    from hem_pkcs11.sessions import Session

__all__ = [
    "make_signer",
    "make_verifier",
    "sign",
    "sign_final",
    "sign_init",
    "sign_update",
    "verify",
    "verify_final",
    "verify_init",
    "verify_signature",
    "verify_signature_final",
    "verify_signature_init",
    "verify_signature_update",
    "verify_update",
]


def make_signer(session: Session, mechanism: Mechanism, handle: int) -> SignOperation:
    """Find the key and begin. Keys of the device need a login; a session key may be public."""
    if row_of(mechanism.type, CKF.SIGN).scheme not in MAC_SCHEMES:
        session.require_user()
    item = session.object(handle, CKR.KEY_HANDLE_INVALID)
    operation = signer(session.slot.hem, item, mechanism)
    operation.key_handle = handle
    return operation


def sign_init(session: Session, mechanism: Mechanism | None, handle: int) -> None:
    """Begin; no mechanism ends what runs."""
    if mechanism is None:
        session.end(Place.SIGN)
        return
    session.require_idle(Place.SIGN)
    session.begin(Place.SIGN, make_signer(session, mechanism, handle))


def sign(session: Session, data: Buffer, room: int | None) -> bytes | int:
    operation = session.running(Place.SIGN, SignOperation)
    if operation.parts:
        session.end(Place.SIGN)
        raise Pkcs11Error(CKR.OPERATION_ACTIVE, "C_Sign cannot finish what C_SignUpdate began")
    return _finish_sign(session, operation, data, room)


def sign_update(session: Session, part: Buffer) -> None:
    operation = session.running(Place.SIGN, SignOperation)
    with finishing(session, Place.SIGN):
        operation.update(part)


def sign_final(session: Session, room: int | None) -> bytes | int:
    return _finish_sign(session, session.running(Place.SIGN, SignOperation), None, room)


def _finish_sign(
    session: Session, operation: SignOperation, data: Buffer | None, room: int | None
) -> bytes | int:
    with finishing(session, Place.SIGN):
        result = operation.finish(data, room)
    if isinstance(result, bytes):
        session.end(Place.SIGN)
    return result


def make_verifier(session: Session, mechanism: Mechanism, handle: int) -> VerifyOperation:
    """Find the key and begin."""
    return verifier(session.slot.hem, session.object(handle, CKR.KEY_HANDLE_INVALID), mechanism)


def verify_init(session: Session, mechanism: Mechanism | None, handle: int) -> None:
    """Begin; no mechanism ends what runs. Public keys need no login."""
    if mechanism is None:
        session.end(Place.VERIFY)
        return
    session.require_idle(Place.VERIFY)
    session.begin(Place.VERIFY, make_verifier(session, mechanism, handle))


def verify(session: Session, data: Buffer, signature: Buffer) -> None:
    operation = session.running(Place.VERIFY, VerifyOperation)
    try:
        if operation.parts or operation.signature is not None:
            raise Pkcs11Error(CKR.OPERATION_ACTIVE, "C_Verify cannot finish what another call began")
        operation.finish(data, signature)
    finally:
        session.end(Place.VERIFY)


def verify_update(session: Session, part: Buffer) -> None:
    operation = session.running(Place.VERIFY, VerifyOperation)
    with finishing(session, Place.VERIFY):
        operation.update(part)


def verify_final(session: Session, signature: Buffer) -> None:
    operation = session.running(Place.VERIFY, VerifyOperation)
    try:
        operation.finish(None, signature)
    finally:
        session.end(Place.VERIFY)


def verify_signature_init(
    session: Session, mechanism: Mechanism | None, handle: int, signature: Buffer
) -> None:
    """Begin with the signature; the data follow."""
    verify_init(session, mechanism, handle)
    if mechanism is not None:
        session.running(Place.VERIFY, VerifyOperation).signature = bytes(signature[: 2**16])


def verify_signature(session: Session, data: Buffer) -> None:
    _finish_signature(session, data)


def verify_signature_update(session: Session, part: Buffer) -> None:
    _with_signature(session)
    verify_update(session, part)


def verify_signature_final(session: Session) -> None:
    _finish_signature(session, None)


def _with_signature(session: Session) -> tuple[VerifyOperation, bytes]:
    operation = session.running(Place.VERIFY, VerifyOperation)
    if operation.signature is None:
        raise Pkcs11Error(CKR.OPERATION_NOT_INITIALIZED, "C_VerifySignatureInit did not begin this")
    return operation, operation.signature


def _finish_signature(session: Session, data: Buffer | None) -> None:
    operation, signature = _with_signature(session)
    try:
        operation.finish(data, signature)
    finally:
        session.end(Place.VERIFY)
