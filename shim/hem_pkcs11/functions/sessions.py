"""Sessions and login (5.6)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKF, CKR, CKU
from hem_pkcs11.log import log
from hem_pkcs11.login import MAX_PIN, text_of
from hem_pkcs11.objects.device_keys import DeviceKey
from hem_pkcs11.operations import Place
from hem_pkcs11.returns import Pkcs11Error, SessionClosed
from hem_pkcs11.values import Buffer, SessionInfo
from hem_provider.errors import HemError, HemOutcomeUnknown

if TYPE_CHECKING:
    from hem_pkcs11.library import Library
    from hem_pkcs11.sessions import Session, SessionTable
    from hem_pkcs11.slots import Slot

__all__ = [
    "close_all_sessions",
    "close_session",
    "destroy_session_objects",
    "end_login",
    "get_session_info",
    "get_session_validation_flags",
    "login",
    "login_user",
    "logout",
    "open_session",
    "session_cancel",
]


def open_session(library: Library, number: int, flags: int, _application: bool, _notify: bool) -> int:
    """Open a session; its handle.

    Raises CKR_SLOT_ID_INVALID, CKR_SESSION_PARALLEL_NOT_SUPPORTED, CKR_SESSION_ASYNC_NOT_SUPPORTED,
    CKR_SESSION_READ_WRITE_SO_EXISTS, and CKR_TOKEN_NOT_PRESENT for a device that does not answer.
    """
    slot = library.slot(number)
    if not flags & CKF.SERIAL_SESSION:
        raise Pkcs11Error(CKR.SESSION_PARALLEL_NOT_SUPPORTED)
    if flags & CKF.ASYNC_SESSION:
        raise Pkcs11Error(CKR.SESSION_ASYNC_NOT_SUPPORTED)
    if slot.login.user == CKU.SO and not flags & CKF.RW_SESSION:
        raise Pkcs11Error(CKR.SESSION_READ_WRITE_SO_EXISTS)
    slot.presence.require()
    return library.sessions.open(slot, flags & (CKF.SERIAL_SESSION | CKF.RW_SESSION)).handle


def close_session(session: Session) -> None:
    """End a session and its objects; with the last one of its slot the login ends as well."""
    session.shut()
    destroy_session_objects(session)
    session.table.remove(session)
    slot = session.slot
    with slot.lock:
        if slot.login.user is not None and not session.table.of(slot):
            slot.logout()


def destroy_session_objects(session: Session, *, private_only: bool = False) -> None:
    """Session keys that were made in the device are deleted there, those in memory overwritten.

    A pair is one key, so that its public half is as private as the other here.
    """
    for item in session.slot.objects.owned_by(session.handle):
        if private_only and not item.private and not isinstance(item, DeviceKey):
            continue
        alias = session.slot.objects.is_alias(item)
        session.slot.objects.remove(item)
        if alias or not isinstance(item, DeviceKey):
            continue
        try:
            session.slot.hem.keys.delete(item.key)
        except HemOutcomeUnknown as error:
            log.error(f"session {item.describe()} may still be on the device: {error}")
        except HemError as error:
            log.error(f"session {item.describe()} stays on the device: {error}")


def close_all_sessions(library: Library, number: int) -> None:
    """Close the sessions of a slot. Raises CKR_SLOT_ID_INVALID."""
    for session in library.sessions.of(library.slot(number)):
        with suppress(SessionClosed), session.turn():
            close_session(session)


def get_session_info(session: Session) -> SessionInfo:
    """Slot, state (5.6) and flags."""
    return SessionInfo(session.slot.number, int(session.state), session.flags)


def login(session: Session, user: int, pin: bytes | None) -> None:
    """Log in with the passphrase; without one it comes from its configured source.

    Raises CKR_USER_TYPE_INVALID, CKR_USER_ALREADY_LOGGED_IN, CKR_USER_ANOTHER_ALREADY_LOGGED_IN,
    CKR_SESSION_READ_ONLY_EXISTS for the security officer, CKR_PIN_INCORRECT, CKR_PIN_LEN_RANGE,
    CKR_PIN_INVALID; CKR_OPERATION_NOT_INITIALIZED for CKU_CONTEXT_SPECIFIC, which no key asks for.
    """
    slot = session.slot
    if user == CKU.CONTEXT_SPECIFIC:
        # Only keys with CKA_ALWAYS_AUTHENTICATE ask for it, and there are none.
        raise Pkcs11Error(CKR.OPERATION_NOT_INITIALIZED)
    if user not in (CKU.USER, CKU.SO):
        raise Pkcs11Error(CKR.USER_TYPE_INVALID)
    with slot.lock:
        if slot.login.user is not None:
            same = slot.login.user == user
            raise Pkcs11Error(CKR.USER_ALREADY_LOGGED_IN if same else CKR.USER_ANOTHER_ALREADY_LOGGED_IN)
        if user == CKU.SO:
            _login_officer(session, pin)
        else:
            slot.login.login(slot.hem, pin)
        slot.look_at_store_again()


def _login_officer(session: Session, pin: bytes | None) -> None:
    if any(not each.writable for each in session.table.of(session.slot)):
        raise Pkcs11Error(CKR.SESSION_READ_ONLY_EXISTS, "the security officer has no read-only sessions")
    if pin is None or not 0 < len(pin) <= MAX_PIN:
        raise Pkcs11Error(CKR.PIN_LEN_RANGE, f"the master secret is given as PIN of 1 to {MAX_PIN} bytes")
    session.slot.login_officer(text_of(pin))


def login_user(session: Session, user: int, pin: bytes | None, name: Buffer) -> None:
    """``C_Login`` with a name: the device has one user, whose name it tells, or none is given.

    Raises CKR_PIN_INCORRECT for another name, and as ``login`` does.
    """
    identity = session.slot.hem.identity
    given = bytes(name[:256]).decode("utf-8", "replace")
    if given and user == CKU.USER and (identity is None or given != identity.label):
        raise Pkcs11Error(
            CKR.PIN_INCORRECT, f"the device's user is called {identity.label if identity else 'otherwise'!r}"
        )
    login(session, user, pin)


def logout(session: Session) -> None:
    """End the login of all sessions of the slot, and with it operations on private keys and the private
    objects of the sessions (5.6.10).

    An operation that another thread is in the middle of a call with gives that call's result first. Raises
    CKR_USER_NOT_LOGGED_IN.
    """
    slot = session.slot
    with slot.lock:
        if slot.login.user is None:
            raise Pkcs11Error(CKR.USER_NOT_LOGGED_IN)
        for each in session.table.of(slot):
            destroy_session_objects(each, private_only=True)
        slot.logout()
        end_login(session.table, slot)


def end_login(table: SessionTable, slot: Slot) -> None:
    """Nobody is logged in any more: end what knows private objects in all sessions of the slot, and
    destroy the private secrets in memory. Under the slot's lock."""
    slot.states.clear(private_only=True)
    for each in table.of(slot):
        each.tell(each.end_private)
        for item in slot.objects.owned_by(each.handle):
            if item.private and not isinstance(item, DeviceKey):
                slot.objects.remove(item)


def get_session_validation_flags(_: Session, _kind: int) -> int:
    """Nobody has validated the device and this module together."""
    return 0


#: Flag of C_SessionCancel → the operation it names.
_CANCELLED = (
    (CKF.FIND_OBJECTS, Place.FIND),
    (CKF.DIGEST, Place.DIGEST),
    (CKF.SIGN, Place.SIGN),
    (CKF.VERIFY, Place.VERIFY),
    (CKF.ENCRYPT, Place.ENCRYPT),
    (CKF.DECRYPT, Place.DECRYPT),
    (CKF.MESSAGE_ENCRYPT, Place.MESSAGE_ENCRYPT),
    (CKF.MESSAGE_DECRYPT, Place.MESSAGE_DECRYPT),
    (CKF.MESSAGE_SIGN, Place.MESSAGE_SIGN),
    (CKF.MESSAGE_VERIFY, Place.MESSAGE_VERIFY),
)


def session_cancel(session: Session, flags: int) -> None:
    """Drop the operations that ``flags`` (CKF_SIGN, …) name; nothing of them is at the device yet. One
    that does not run is no error."""
    for flag, place in _CANCELLED:
        if flags & flag:
            session.end(place)
