"""Saving and restoring running operations (5.6.5, 5.6.6): digests and signatures.

A state is a number that names a copy kept here: it is good in this process and for this token,
cannot be forged, and holds nothing to be read. OpenSSL's provider saves the state of each signature.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKR
from hem_pkcs11.operations import Operation, Place, deliver
from hem_pkcs11.operations.digest import DigestOperation
from hem_pkcs11.operations.sign import SignOperation
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import Buffer

if TYPE_CHECKING:
    from hem_pkcs11.sessions import Session

__all__ = ["SavedStates", "get_operation_state", "set_operation_state"]

STATE_SIZE = 16
#: So many states are kept; the oldest make room.
MAX_STATES = 256


class SavedStates:
    """The states of one slot, under its lock."""

    def __init__(self) -> None:
        self._states: OrderedDict[bytes, dict[Place, Operation]] = OrderedDict()

    def save(self, operations: dict[Place, Operation]) -> bytes:
        name = os.urandom(STATE_SIZE)
        self._states[name] = operations
        while len(self._states) > MAX_STATES:
            self._drop(next(iter(self._states)))
        return name

    def load(self, name: bytes) -> dict[Place, Operation]:
        """Raises CKR_SAVED_STATE_INVALID."""
        operations = self._states.get(name)
        if operations is None:
            raise Pkcs11Error(CKR.SAVED_STATE_INVALID, "no such state, or too old a one")
        return operations

    def clear(self) -> None:
        for name in list(self._states):
            self._drop(name)

    def _drop(self, name: bytes) -> None:
        for operation in self._states.pop(name).values():
            operation.close()


def _snapshots(operations: dict[Place, Operation]) -> dict[Place, Operation]:
    return {
        place: each.snapshot()
        for place, each in operations.items()
        if isinstance(each, DigestOperation | SignOperation)
    }


def get_operation_state(session: Session, room: int | None) -> bytes | int:
    """Save what runs. Raises CKR_STATE_UNSAVEABLE when an operation of another kind runs too."""
    running = session.all_running()
    if not running:
        raise Pkcs11Error(CKR.OPERATION_NOT_INITIALIZED)
    if not set(running) <= {Place.DIGEST, Place.SIGN}:
        kinds = ", ".join(each.value for each in running)
        raise Pkcs11Error(CKR.STATE_UNSAVEABLE, f"only digests and signatures can be saved; running: {kinds}")
    if not deliver(STATE_SIZE, room):
        return STATE_SIZE
    with session.slot.lock:
        return session.slot.states.save(_snapshots(running))


def set_operation_state(
    session: Session, state: Buffer, encryption_key: int, authentication_key: int
) -> None:
    """Put the operations of ``state`` in place of what runs."""
    with session.slot.lock:
        saved = session.slot.states.load(bytes(state[: STATE_SIZE + 1]))
        operations = _snapshots(saved)
    signature = operations.get(Place.SIGN)
    if encryption_key or (authentication_key and not isinstance(signature, SignOperation)):
        raise Pkcs11Error(CKR.KEY_NOT_NEEDED)
    if isinstance(signature, SignOperation):
        session.require_user()
        session.object(signature.key_handle, CKR.KEY_CHANGED)
        if authentication_key not in (0, signature.key_handle):
            raise Pkcs11Error(CKR.KEY_CHANGED)
    for place in list(session.all_running()):
        session.end(place)
    for place, operation in operations.items():
        session.begin(place, operation)
