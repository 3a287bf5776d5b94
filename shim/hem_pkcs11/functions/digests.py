"""Message digests (5.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKR
from hem_pkcs11.operations import Place
from hem_pkcs11.operations.digest import DigestOperation
from hem_pkcs11.returns import BufferTooSmall, Pkcs11Error
from hem_pkcs11.values import Buffer, Mechanism

if TYPE_CHECKING:
    from hem_pkcs11.sessions import Session

__all__ = ["digest", "digest_final", "digest_init", "digest_update"]


def digest_init(session: Session, mechanism: Mechanism | None) -> None:
    if mechanism is None:
        session.end(Place.DIGEST)
        return
    session.require_idle(Place.DIGEST)
    session.begin(Place.DIGEST, DigestOperation(mechanism))


def digest(session: Session, data: Buffer, room: int | None) -> bytes | int:
    operation = session.running(Place.DIGEST, DigestOperation)
    if operation.parts:
        session.end(Place.DIGEST)
        raise Pkcs11Error(CKR.OPERATION_ACTIVE, "C_Digest cannot finish what C_DigestUpdate began")
    return _finish(session, operation, data, room)


def digest_update(session: Session, part: Buffer) -> None:
    session.running(Place.DIGEST, DigestOperation).update(part)


def digest_final(session: Session, room: int | None) -> bytes | int:
    return _finish(session, session.running(Place.DIGEST, DigestOperation), None, room)


def _finish(
    session: Session, operation: DigestOperation, data: Buffer | None, room: int | None
) -> bytes | int:
    try:
        result = operation.finish(data, room)
    except BufferTooSmall:
        raise
    except BaseException:
        session.end(Place.DIGEST)
        raise
    if isinstance(result, bytes):
        session.end(Place.DIGEST)
    return result
