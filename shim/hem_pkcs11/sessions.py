"""Sessions: state, running operations, and the table that finds them by handle."""

from __future__ import annotations

import itertools
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from hem_pkcs11.constants import CKF, CKR, CKS, CKU
from hem_pkcs11.operations import MessageOperation, Operation, Place
from hem_pkcs11.returns import Pkcs11Error, SessionClosed

if TYPE_CHECKING:
    from hem_pkcs11.objects.object import Pkcs11Object
    from hem_pkcs11.operations.ivs import IvSource
    from hem_pkcs11.slots import Slot

__all__ = ["Session", "SessionTable"]

_OperationT = TypeVar("_OperationT", bound=Operation)


class Session:
    """One session. Calls on it come in one at a time (``turn``), whatever the host's threads do.

    What another session's call ends here (C_Logout, C_Finalize) is told by ``tell``: an operation
    in the middle of a call is left alone until that call is over, and nobody waits for it.
    """

    def __init__(self, handle: int, table: SessionTable, slot: Slot, flags: int) -> None:
        self.handle = handle
        self.table = table
        self.slot = slot
        self.flags = flags
        self.closed = False
        self._lock = threading.Lock()
        self._operations: dict[Place, Operation] = {}
        self._private: set[Place] = set()  # operations that know a private object
        self._told: deque[Callable[[], None]] = deque()
        #: Operations that were asked for at once, for their size perhaps (see ``functions.order``).
        self.asked_at_once: dict[Place, weakref.ref[Operation]] = {}

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One call. Raises CKR_SESSION_HANDLE_INVALID when the session was closed meanwhile."""
        try:
            with self._lock:
                self._heed()
                if self.closed:
                    raise SessionClosed
                try:
                    yield
                finally:
                    self._heed()
        finally:
            self._settle()

    def tell(self, what: Callable[[], None]) -> None:
        """Run ``what`` on this session: at once when it is idle, else at the end of the call that
        is under way, and in any case before the next one."""
        self._told.append(what)
        self._settle()

    def _settle(self) -> None:
        # Who was told something after the last look of a call looks again by itself.
        while self._told and self._lock.acquire(blocking=False):
            try:
                self._heed()
            finally:
                self._lock.release()

    def _heed(self) -> None:
        while self._told:
            self._told.popleft()()

    @property
    def writable(self) -> bool:
        """Whether it was opened with CKF_RW_SESSION."""
        return bool(self.flags & CKF.RW_SESSION)

    @property
    def logged_in(self) -> bool:
        """Whether private objects are there for this session."""
        return self.slot.login.user == CKU.USER

    @property
    def state(self) -> CKS:
        """CKS_*: who is logged in, and whether it is a read/write session (5.6)."""
        user = self.slot.login.user
        if user == CKU.SO:
            return CKS.RW_SO_FUNCTIONS
        if user == CKU.USER:
            return CKS.RW_USER_FUNCTIONS if self.writable else CKS.RO_USER_FUNCTIONS
        return CKS.RW_PUBLIC_SESSION if self.writable else CKS.RO_PUBLIC_SESSION

    def require_user(self) -> None:
        """Raise CKR_USER_NOT_LOGGED_IN unless the user is."""
        if not self.logged_in:
            raise Pkcs11Error(CKR.USER_NOT_LOGGED_IN, f"{self.slot.name}: log in first")

    def require_writable(self) -> None:
        """Raise CKR_SESSION_READ_ONLY unless opened with CKF_RW_SESSION."""
        if not self.writable:
            raise Pkcs11Error(CKR.SESSION_READ_ONLY, "the session was opened without CKF_RW_SESSION")

    def object(self, handle: int, bad: CKR = CKR.OBJECT_HANDLE_INVALID) -> Pkcs11Object:
        """The object of ``handle`` as far as this session may see it. Raises ``bad``."""
        return self.slot.objects.get(handle, private=self.logged_in, bad=bad)

    def add(self, item: Pkcs11Object) -> int:
        """Take in an object just made; its handle. A private one only while the login lasts that it was
        made under: another thread may have ended that meanwhile, and with it what was private.

        Raises CKR_USER_NOT_LOGGED_IN, having overwritten what is secret of it.
        """
        if not item.private:
            return self.slot.objects.add(item).handle
        with self.slot.lock:
            try:
                self.require_user()
            except Pkcs11Error:
                item.close()
                raise
            return self.slot.objects.add(item).handle

    def begin(self, place: Place, operation: Operation, *, private: bool) -> None:
        """Start an operation; ``private``: it ends with the login, since it knows a private object.

        Raises CKR_OPERATION_ACTIVE when one of its kind runs.
        """
        self.require_idle(place)
        self._operations[place] = operation
        if private:
            self._private.add(place)

    def taints(self, place: Place) -> None:
        """The operation at ``place`` knows a private object from now on."""
        self._private.add(place)

    def is_private(self, place: Place) -> bool:
        """Whether the operation at ``place`` ends with the login."""
        return place in self._private

    def require_idle(self, place: Place) -> None:
        """Raise CKR_OPERATION_ACTIVE when an operation of the kind runs."""
        if place in self._operations:
            raise Pkcs11Error(CKR.OPERATION_ACTIVE)

    def running(self, place: Place, kind: type[_OperationT]) -> _OperationT:
        """The running operation. Raises CKR_OPERATION_NOT_INITIALIZED."""
        operation = self._operations.get(place)
        if not isinstance(operation, kind):
            raise Pkcs11Error(CKR.OPERATION_NOT_INITIALIZED)
        return operation

    def require_running(self, place: Place) -> None:
        """Raise CKR_OPERATION_NOT_INITIALIZED unless an operation runs at ``place``."""
        if place not in self._operations:
            raise Pkcs11Error(CKR.OPERATION_NOT_INITIALIZED)

    def all_running(self) -> dict[Place, Operation]:
        """Every operation but a search."""
        return {place: each for place, each in self._operations.items() if place is not Place.FIND}

    def end(self, place: Place) -> bool:
        """Drop the operation at ``place``; whether there was one."""
        self._private.discard(place)
        operation = self._operations.pop(place, None)
        if operation is not None:
            operation.close()
        return operation is not None

    def end_message(self, place: Place) -> None:
        """Drop the message in parts of the message-based operation at ``place``; that goes on."""
        operation = self._operations.get(place)
        if isinstance(operation, MessageOperation):
            operation.end_message()

    def end_all(self) -> None:
        """Drop every operation."""
        for place in list(self._operations):
            self.end(place)

    def shut(self) -> None:
        """No call is served from now on."""
        self.closed = True
        self.end_all()

    def end_private(self) -> None:
        """The login is over: drop what knows private objects."""
        for place in list(self._private):
            self.end(place)


class SessionTable:
    """All open sessions of the process, and the IVs that they share. Safe for threads."""

    def __init__(self, ivs: IvSource) -> None:
        self.ivs = ivs
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._sessions: dict[int, Session] = {}

    def open(self, slot: Slot, flags: int) -> Session:
        """A new session; ``flags`` are CKF_SERIAL_SESSION and CKF_RW_SESSION."""
        with self._lock:
            session = Session(next(self._numbers), self, slot, flags)
            self._sessions[session.handle] = session
        return session

    def get(self, handle: int) -> Session:
        """Raises CKR_SESSION_HANDLE_INVALID."""
        session = self._sessions.get(handle)
        if session is None:
            raise Pkcs11Error(CKR.SESSION_HANDLE_INVALID)
        return session

    def of(self, slot: Slot) -> list[Session]:
        """The open sessions of a slot."""
        with self._lock:
            return [each for each in self._sessions.values() if each.slot is slot]

    def abandon(self) -> None:
        """Drop every operation, taking no lock: in a forked child nobody else runs."""
        for session in self._sessions.values():
            session.shut()

    def remove(self, session: Session) -> None:
        """Forget a session."""
        with self._lock:
            self._sessions.pop(session.handle, None)
