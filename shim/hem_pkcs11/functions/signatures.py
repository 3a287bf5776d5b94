"""Signing and verifying (5.13, 5.15), and 3.2's verifying of a signature given first (5.16)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKF, CKR
from hem_pkcs11.mechanisms import mechanism_row
from hem_pkcs11.objects.object import Pkcs11Object
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
    "sign",
    "sign_final",
    "sign_init",
    "sign_update",
    "signing_key",
    "verify",
    "verify_final",
    "verify_init",
    "verify_signature",
    "verify_signature_final",
    "verify_signature_init",
    "verify_signature_update",
    "verify_update",
]


def make_signer(session: Session, mechanism: Mechanism, item: Pkcs11Object) -> SignOperation:
    """Begin signing with a key that ``signing_key`` found."""
    operation = signer(session.slot.hem, item, mechanism)
    operation.key_handle = item.handle
    return operation


def signing_key(session: Session, mechanism: Mechanism, handle: int) -> Pkcs11Object:
    """The key to sign with. Keys of the device need a login; a session key may be public.

    Raises CKR_MECHANISM_INVALID, CKR_USER_NOT_LOGGED_IN and CKR_KEY_HANDLE_INVALID.
    """
    if mechanism_row(mechanism.type, CKF.SIGN).scheme not in MAC_SCHEMES:
        session.require_user()
    return session.object(handle, CKR.KEY_HANDLE_INVALID)


def sign_init(session: Session, mechanism: Mechanism, handle: int) -> None:
    """Begin. Raises CKR_USER_NOT_LOGGED_IN for signatures, CKR_KEY_HANDLE_INVALID, CKR_OPERATION_ACTIVE,
    and what ``signer`` does."""
    item = signing_key(session, mechanism, handle)
    session.begin(Place.SIGN, make_signer(session, mechanism, item), private=item.private)


def sign(session: Session, data: Buffer, room: int | None) -> bytes | int:
    """The signature of ``data``, or its size in bytes when only that is asked (5.2).

    Raises CKR_OPERATION_NOT_INITIALIZED, CKR_OPERATION_ACTIVE after C_SignUpdate, CKR_BUFFER_TOO_SMALL,
    CKR_DATA_LEN_RANGE for a message that the device does not take, and what the device layer's errors are
    told as (``returns``).
    """
    operation = session.running(Place.SIGN, SignOperation)
    if operation.parts:
        raise Pkcs11Error(CKR.OPERATION_ACTIVE, "C_Sign cannot finish what C_SignUpdate began")
    result = operation.finish(data, room)
    if isinstance(result, bytes):
        session.end(Place.SIGN)
    return result


def sign_update(session: Session, part: Buffer) -> None:
    """Take in a part. Raises CKR_OPERATION_NOT_INITIALIZED, and CKR_DATA_LEN_RANGE in the very call
    that passes what the device takes."""
    session.running(Place.SIGN, SignOperation).update(part)


def sign_final(session: Session, room: int | None) -> bytes | int:
    """The signature of the parts, or its size. Raises as ``sign`` does."""
    result = session.running(Place.SIGN, SignOperation).finish(None, room)
    if isinstance(result, bytes):
        session.end(Place.SIGN)
    return result


def verify_init(session: Session, mechanism: Mechanism, handle: int) -> None:
    """Begin. Public keys need no login. Raises CKR_KEY_HANDLE_INVALID, CKR_OPERATION_ACTIVE, and what
    ``verifier`` does."""
    _begin_verifying(session, mechanism, handle, None)


def _begin_verifying(session: Session, mechanism: Mechanism, handle: int, signature: Buffer | None) -> None:
    item = session.object(handle, CKR.KEY_HANDLE_INVALID)
    operation = verifier(session.slot.hem, item, mechanism)
    if signature is not None:
        operation.expect(signature)
    session.begin(Place.VERIFY, operation, private=item.private)


def verify(session: Session, data: Buffer, signature: Buffer) -> None:
    """Check a signature. Raises CKR_SIGNATURE_LEN_RANGE or CKR_SIGNATURE_INVALID,
    CKR_OPERATION_NOT_INITIALIZED, and CKR_OPERATION_ACTIVE after C_VerifyUpdate or where
    C_VerifySignatureInit began."""
    operation = session.running(Place.VERIFY, VerifyOperation)
    if operation.parts or operation.signature is not None:
        raise Pkcs11Error(CKR.OPERATION_ACTIVE, "C_Verify cannot finish what another call began")
    operation.finish(data, signature)
    session.end(Place.VERIFY)


def verify_update(session: Session, part: Buffer) -> None:
    """Take in a part. Raises CKR_OPERATION_NOT_INITIALIZED."""
    session.running(Place.VERIFY, VerifyOperation).update(part)


def verify_final(session: Session, signature: Buffer) -> None:
    """Check the signature of the parts. Raises as ``verify`` does."""
    session.running(Place.VERIFY, VerifyOperation).finish(None, signature)
    session.end(Place.VERIFY)


def verify_signature_init(session: Session, mechanism: Mechanism, handle: int, signature: Buffer) -> None:
    """Begin with the signature; the data follow. Raises as ``verify_init`` does, and
    CKR_SIGNATURE_LEN_RANGE."""
    _begin_verifying(session, mechanism, handle, signature)


def verify_signature(session: Session, data: Buffer) -> None:
    """Check the signature given first against ``data``. Raises CKR_SIGNATURE_INVALID, and
    CKR_OPERATION_NOT_INITIALIZED unless C_VerifySignatureInit began."""
    _finish_signature(session, data)


def verify_signature_update(session: Session, part: Buffer) -> None:
    """Take in a part. Raises CKR_OPERATION_NOT_INITIALIZED unless C_VerifySignatureInit began."""
    _with_signature(session)
    verify_update(session, part)


def verify_signature_final(session: Session) -> None:
    """Check the signature given first against the parts. Raises as ``verify_signature`` does."""
    _finish_signature(session, None)


def _with_signature(session: Session) -> tuple[VerifyOperation, bytes]:
    operation = session.running(Place.VERIFY, VerifyOperation)
    if operation.signature is None:
        raise Pkcs11Error(CKR.OPERATION_NOT_INITIALIZED, "C_VerifySignatureInit did not begin this")
    return operation, operation.signature


def _finish_signature(session: Session, data: Buffer | None) -> None:
    operation, signature = _with_signature(session)
    operation.finish(data, signature)
    session.end(Place.VERIFY)
