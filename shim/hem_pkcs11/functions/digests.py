"""Message digests (5.12)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKR
from hem_pkcs11.objects.secret_keys import SessionSecretKey
from hem_pkcs11.operations import Place
from hem_pkcs11.operations.digest import DigestOperation
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import Buffer, Mechanism

if TYPE_CHECKING:
    from hem_pkcs11.sessions import Session

__all__ = ["digest", "digest_final", "digest_init", "digest_key", "digest_update"]


def digest_init(session: Session, mechanism: Mechanism) -> None:
    """Begin. Raises CKR_MECHANISM_INVALID, CKR_MECHANISM_PARAM_INVALID, and CKR_OPERATION_ACTIVE where a
    digest runs."""
    session.begin(Place.DIGEST, DigestOperation(mechanism), private=False)


def digest(session: Session, data: Buffer, room: int | None) -> bytes | int:
    """The digest of ``data``, or its size in bytes when only that is asked.

    Raises CKR_OPERATION_NOT_INITIALIZED, CKR_OPERATION_ACTIVE after C_DigestUpdate, and
    CKR_BUFFER_TOO_SMALL.
    """
    operation = session.running(Place.DIGEST, DigestOperation)
    if operation.parts:
        raise Pkcs11Error(CKR.OPERATION_ACTIVE, "C_Digest cannot finish what C_DigestUpdate began")
    return _finish(session, operation, data, room)


def digest_update(session: Session, part: Buffer) -> None:
    """Take in a part. Raises CKR_OPERATION_NOT_INITIALIZED."""
    session.running(Place.DIGEST, DigestOperation).update(part)


def digest_key(session: Session, handle: int) -> None:
    """Take in the value of a secret key in memory; those in the device are not to be had.

    Raises CKR_OPERATION_NOT_INITIALIZED, CKR_KEY_HANDLE_INVALID, and CKR_KEY_INDIGESTIBLE for any other
    object.
    """
    operation = session.running(Place.DIGEST, DigestOperation)
    item = session.object(handle, CKR.KEY_HANDLE_INVALID)
    if not isinstance(item, SessionSecretKey):
        raise Pkcs11Error(CKR.KEY_INDIGESTIBLE, f"{item.describe()} is no secret in memory")
    operation.update(item.value)
    if item.private:
        session.taints(Place.DIGEST)


def digest_final(session: Session, room: int | None) -> bytes | int:
    """The digest of the parts, or its size. Raises as ``digest`` does."""
    return _finish(session, session.running(Place.DIGEST, DigestOperation), None, room)


def _finish(
    session: Session, operation: DigestOperation, data: Buffer | None, room: int | None
) -> bytes | int:
    result = operation.finish(data, room)
    if isinstance(result, bytes):
        session.end(Place.DIGEST)
    return result
