"""Slots, tokens and mechanisms (5.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKF, CKR
from hem_pkcs11.mechanisms import MECHANISMS, row_of
from hem_pkcs11.returns import BufferTooSmall, Pkcs11Error
from hem_pkcs11.slots import ABSENT_FOR, probe_all
from hem_pkcs11.values import MechanismInfo, SlotInfo, TokenInfo

if TYPE_CHECKING:
    from hem_pkcs11.module import Module

__all__ = [
    "get_mechanism_info",
    "get_mechanism_list",
    "get_slot_info",
    "get_slot_list",
    "get_token_info",
    "wait_for_slot_event",
]


def wait_for_slot_event(module: Module, flags: int, reserved: bool) -> int:
    """The next slot whose token comes or goes.

    Devices do not call: they are asked every few seconds while a host waits, and once when it does
    not want to wait.
    """
    if reserved:
        raise Pkcs11Error(CKR.ARGUMENTS_BAD)
    while True:
        probe_all(list(module.slots.values()))
        changed = next((each for each in module.slots.values() if each.take_change()), None)
        if changed is not None:
            return changed.number
        if flags & CKF.DONT_BLOCK:
            raise Pkcs11Error(CKR.NO_EVENT)
        if module.ended.wait(ABSENT_FOR):
            raise Pkcs11Error(CKR.CRYPTOKI_NOT_INITIALIZED)


def _list(values: list[int], room: int | None) -> list[int] | int:
    if room is None:
        return len(values)
    if room < len(values):
        raise BufferTooSmall(len(values))
    return values


def get_slot_list(module: Module, present: bool, room: int | None) -> list[int] | int:
    """Slot numbers; only with ``present`` the devices are asked whether they are there."""
    slots = list(module.slots.values())
    if present:
        slots = probe_all(slots)
    return _list([each.number for each in slots], room)


def get_slot_info(module: Module, number: int) -> SlotInfo:
    return module.slot(number).info()


def get_token_info(module: Module, number: int) -> TokenInfo:
    slot = module.slot(number)
    sessions = module.sessions.of(slot)
    return slot.token_info(len(sessions), sum(each.writable for each in sessions))


def get_mechanism_list(module: Module, number: int, room: int | None) -> list[int] | int:
    module.slot(number)
    return _list(list(MECHANISMS), room)


def get_mechanism_info(module: Module, number: int, mechanism: int) -> MechanismInfo:
    module.slot(number)
    return row_of(mechanism).info
