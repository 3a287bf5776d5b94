"""In which order the calls of one operation may follow each other (5.8 to 5.16).

What was asked for at once, be it for the size alone, cannot go on in parts. No mechanism ends what
runs, where something does. And a mechanism of RSA has no key here that is of its type.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hem_pkcs11.constants import CKM, CKR, name_of
from hem_pkcs11.operations import Place
from hem_pkcs11.returns import Pkcs11Error

if TYPE_CHECKING:
    from hem_pkcs11.sessions import Session
    from hem_pkcs11.values import Mechanism

__all__ = ["at_once", "begins", "in_parts"]


def begins(place: Place, function: Callable[..., None]) -> Callable[..., None]:
    """``C_*Init`` for ``place``: session, mechanism, and the key where there is one. ``function`` begins what
    is new, and finds the place free.

    Raises CKR_ARGUMENTS_BAD for no mechanism when nothing runs that it could end, and CKR_OPERATION_ACTIVE
    where something does that is to go on. CKR_KEY_TYPE_INCONSISTENT for a mechanism of RSA with a key that is
    here.
    """

    def init(session: Session, mechanism: Mechanism | None, *rest: Any) -> None:
        if mechanism is None:
            if place not in session.all_running():
                raise Pkcs11Error(CKR.ARGUMENTS_BAD)
            session.end(place)
            return
        session.require_idle(place)
        if rest and name_of(CKM, mechanism.type).startswith("CKM_RSA_"):
            item = session.object(rest[0], CKR.KEY_HANDLE_INVALID)
            raise Pkcs11Error(
                CKR.KEY_TYPE_INCONSISTENT,
                f"{name_of(CKM, mechanism.type)} takes an RSA key, which {item.describe()} is not",
            )
        function(session, mechanism, *rest)

    return init


def at_once(place: Place, function: Callable[..., Any]) -> Callable[..., Any]:
    """The call that does the whole of an operation. While its result has not been taken, the operation
    goes on with this call alone."""

    def whole(session: Session, *rest: Any) -> Any:
        operation = session.all_running().get(place)
        try:
            return function(session, *rest)
        finally:
            if operation is not None:
                session.asked_at_once[place] = weakref.ref(operation)

    return whole


def in_parts(function: Callable[..., Any], *places: Place) -> Callable[..., Any]:
    """A call that takes a part or ends the parts. Raises CKR_OPERATION_ACTIVE, which ends the operation,
    where ``at_once`` was called for it before."""

    def part(session: Session, *rest: Any) -> Any:
        for place in places:
            operation = session.all_running().get(place)
            asked = session.asked_at_once.get(place)
            if operation is not None and asked is not None and asked() is operation:
                session.end(place)
                raise Pkcs11Error(
                    CKR.OPERATION_ACTIVE, f"{place.value}: what was asked for at once cannot go on in parts"
                )
        return function(session, *rest)

    return part
