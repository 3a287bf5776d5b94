"""Saving and restoring running operations (5.6.5, 5.6.6): digests and signatures.

A state is a number that names a copy kept here: it is good in this process and for this token,
cannot be forged, and holds nothing to be read. OpenSSL's provider saves the state of each signature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKR
from hem_pkcs11.operations import Place, deliver
from hem_pkcs11.operations.digest import DigestOperation
from hem_pkcs11.operations.saved import STATE_SIZE, SavedOperation
from hem_pkcs11.operations.sign import SignOperation
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import Buffer

if TYPE_CHECKING:
    from hem_pkcs11.sessions import Session

__all__ = ["get_operation_state", "set_operation_state"]


def get_operation_state(session: Session, room: int | None) -> bytes | int:
    """Save what runs: the 16 bytes that name it, or how many they are when only that is asked.

    Raises CKR_OPERATION_NOT_INITIALIZED where nothing runs, CKR_STATE_UNSAVEABLE when an operation of another
    kind runs too, CKR_BUFFER_TOO_SMALL, and CKR_USER_NOT_LOGGED_IN where the login ended meanwhile.
    """
    running = session.all_running()
    if not running:
        raise Pkcs11Error(CKR.OPERATION_NOT_INITIALIZED)
    savable = {
        place: each for place, each in running.items() if isinstance(each, DigestOperation | SignOperation)
    }
    if len(savable) < len(running):
        kinds = ", ".join(each.value for each in running)
        raise Pkcs11Error(CKR.STATE_UNSAVEABLE, f"only digests and signatures can be saved; running: {kinds}")
    if not deliver(STATE_SIZE, room):
        return STATE_SIZE
    saved = {
        place: SavedOperation(each.saved(), session.is_private(place)) for place, each in savable.items()
    }
    with session.slot.lock:
        if any(each.private for each in saved.values()) and not session.logged_in:
            for each in saved.values():  # another thread has ended the login meanwhile, and them with it
                each.operation.close()
            raise Pkcs11Error(CKR.USER_NOT_LOGGED_IN)
        return session.slot.states.save(saved)


def set_operation_state(
    session: Session, state: Buffer, encryption_key: int, authentication_key: int
) -> None:
    """Put the operations of ``state`` in place of what runs.

    Raises CKR_ARGUMENTS_BAD for an empty one and CKR_SAVED_STATE_INVALID; CKR_KEY_NOT_NEEDED for a key that
    none of them takes; CKR_KEY_CHANGED for another key than it was begun with, or one that is gone;
    CKR_USER_NOT_LOGGED_IN for a signature.
    """
    if len(state) == 0:
        raise Pkcs11Error(CKR.ARGUMENTS_BAD)
    with session.slot.lock:
        saved = session.slot.states.load(bytes(state[: STATE_SIZE + 1]))
        if encryption_key or (authentication_key and Place.SIGN not in saved):
            raise Pkcs11Error(CKR.KEY_NOT_NEEDED)
        resumed = {place: _resumed(session, each, authentication_key) for place, each in saved.items()}
    for place in list(session.all_running()):
        session.end(place)
    for place, operation in resumed.items():
        session.begin(place, operation, private=saved[place].private)


def _resumed(session: Session, saved: SavedOperation, key: int) -> DigestOperation | SignOperation:
    """The operation going on; its key is the one it was begun with. Raises CKR_KEY_CHANGED."""
    operation = saved.operation
    if isinstance(operation, DigestOperation):
        return operation.saved()
    session.require_user()
    item = session.object(operation.key_handle, CKR.KEY_CHANGED)
    if key not in (0, operation.key_handle):
        raise Pkcs11Error(CKR.KEY_CHANGED)
    return operation.resumed(item)
