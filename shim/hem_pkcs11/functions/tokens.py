"""Slots, tokens and mechanisms (5.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKF, CKR
from hem_pkcs11.mechanisms import MECHANISMS, mechanism_row
from hem_pkcs11.presence import ABSENT_FOR, Presence, present_ones
from hem_pkcs11.returns import BufferTooSmall, Pkcs11Error
from hem_pkcs11.values import MechanismInfo, SlotInfo, TokenInfo

if TYPE_CHECKING:
    from hem_pkcs11.library import Library

__all__ = [
    "get_mechanism_info",
    "get_mechanism_list",
    "get_slot_info",
    "get_slot_list",
    "get_token_info",
    "wait_for_slot_event",
]


def wait_for_slot_event(library: Library, flags: int, reserved: bool) -> int:
    """The next slot whose token comes or goes. ``flags``: CKF_DONT_BLOCK or none.

    Devices do not call: they are asked every few seconds while a host waits, and once when it does not want
    to wait: CKR_NO_EVENT then, where nothing has changed. Raises CKR_ARGUMENTS_BAD for a ``reserved``
    pointer, and CKR_CRYPTOKI_NOT_INITIALIZED when C_Finalize ends the waiting.
    """
    if reserved:
        raise Pkcs11Error(CKR.ARGUMENTS_BAD)
    while True:
        tokens = _presences(library)
        present_ones(tokens)
        changed = next((each for each in tokens if each.take_change()), None)
        if changed is not None:
            return changed.number
        if flags & CKF.DONT_BLOCK:
            raise Pkcs11Error(CKR.NO_EVENT)
        if library.ended.wait(ABSENT_FOR):
            raise Pkcs11Error(CKR.CRYPTOKI_NOT_INITIALIZED)


def _presences(library: Library) -> list[Presence]:
    return [each.presence for each in library.slots.values()]


def _list(values: list[int], room: int | None) -> list[int] | int:
    if room is None:
        return len(values)
    if room < len(values):
        raise BufferTooSmall(len(values))
    return values


def get_slot_list(library: Library, present: bool, room: int | None) -> list[int] | int:
    """Slot numbers, or their count where ``room`` is ``None``; only with ``present`` the devices are asked
    whether they are there, save those with open sessions. Raises CKR_BUFFER_TOO_SMALL."""
    slots = list(library.slots.values())
    if present:
        held = {each.number for each in slots if library.sessions.of(each)}
        held |= {
            each.number for each in present_ones([one.presence for one in slots if one.number not in held])
        }
        slots = [each for each in slots if each.number in held]
    return _list([each.number for each in slots], room)


def get_slot_info(library: Library, number: int) -> SlotInfo:
    """What the slot is, and whether its token is there: the device answers, or sessions are open. Raises
    CKR_SLOT_ID_INVALID."""
    slot = library.slot(number)
    return slot.info(held=bool(library.sessions.of(slot)))


def get_token_info(library: Library, number: int) -> TokenInfo:
    """What the device is. Raises CKR_SLOT_ID_INVALID or CKR_TOKEN_NOT_PRESENT."""
    slot = library.slot(number)
    sessions = library.sessions.of(slot)
    return slot.token_info(len(sessions), sum(each.writable for each in sessions))


def get_mechanism_list(library: Library, number: int, room: int | None) -> list[int] | int:
    """Every mechanism, the same for all slots; their count where ``room`` is ``None``.

    Raises CKR_SLOT_ID_INVALID or CKR_BUFFER_TOO_SMALL.
    """
    library.slot(number)
    return _list(list(MECHANISMS), room)


def get_mechanism_info(library: Library, number: int, mechanism: int) -> MechanismInfo:
    """Key sizes (in the mechanism's own unit) and flags. Raises CKR_SLOT_ID_INVALID or
    CKR_MECHANISM_INVALID."""
    library.slot(number)
    return mechanism_row(mechanism).info
