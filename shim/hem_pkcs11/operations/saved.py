"""Saved states of operations, kept here under names that C_GetOperationState gives out (5.6.5)."""

from __future__ import annotations

import os
from collections import OrderedDict

from hem_pkcs11.constants import CKR
from hem_pkcs11.operations import Place
from hem_pkcs11.operations.digest import DigestOperation
from hem_pkcs11.operations.sign import SignOperation
from hem_pkcs11.returns import Pkcs11Error
from hem_provider.records import frozen

__all__ = ["STATE_SIZE", "SavedOperation", "SavedStates"]

STATE_SIZE = 16
#: So many states are kept; the oldest make room.
MAX_STATES = 256


@frozen
class SavedOperation:
    """``private``: the operation knows a private object."""

    operation: DigestOperation | SignOperation
    private: bool


class SavedStates:
    """The states of one slot, under its lock. They hold no key: that is looked up again."""

    def __init__(self) -> None:
        self._states: OrderedDict[bytes, dict[Place, SavedOperation]] = OrderedDict()

    def save(self, operations: dict[Place, SavedOperation]) -> bytes:
        """Keep ``operations``; the name by which they are found, 16 random bytes. The oldest of more than 256
        states make room."""
        name = os.urandom(STATE_SIZE)
        self._states[name] = operations
        while len(self._states) > MAX_STATES:
            self._drop(next(iter(self._states)))
        return name

    def load(self, name: bytes) -> dict[Place, SavedOperation]:
        """Raises CKR_SAVED_STATE_INVALID."""
        operations = self._states.get(name)
        if operations is None:
            raise Pkcs11Error(CKR.SAVED_STATE_INVALID, "no such state, or too old a one")
        return operations

    def clear(self, *, private_only: bool = False) -> None:
        """Drop the states, or those with an operation that knows a private object."""
        for name, saved in list(self._states.items()):
            if not private_only or any(each.private for each in saved.values()):
                self._drop(name)

    def _drop(self, name: bytes) -> None:
        for saved in self._states.pop(name).values():
            saved.operation.close()
