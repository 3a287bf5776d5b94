"""Mass storage: which disk shows on USB, and how (device API §15, PPA only)."""

from __future__ import annotations

from hem_provider.emulator.audit import Event, Result
from hem_provider.emulator.call import Call, Role
from hem_provider.emulator.http import Refusal, Response
from hem_provider.emulator.quirks import Q

__all__ = ["lock", "unlock", "unlock_read_only", "unlock_read_write"]

_PREFIX = "storage:disk"


def _disk(call: Call) -> int:
    """The disk that the token's scope names; its role is compared through an uninitialised pointer (Q14)."""
    bearer = call.bearer
    if bearer is None:
        raise Refusal(401)
    if bearer.role is Role.MASTER:
        outcome = call.device.switches.text(Q.STORAGE_MASTER)
        if outcome == "crash":
            raise ConnectionResetError("the emulated device crashed in a storage call by the master")
        if outcome == "403":
            call.device.log(Event.FAILED_SCOPE_CHECK, Result.FAILED, actor=call.actor)
            raise Refusal(403)
    digit = bearer.scope[len(_PREFIX) : len(_PREFIX) + 1]
    if digit not in ("0", "1"):
        raise Refusal(406)
    return int(digit)


def _expose(call: Call, disk: int, mode: str) -> Response:
    disks = list(call.device.boot.disks)
    disks[disk] = mode
    call.device.change_boot(disks=tuple(disks))
    return Response()


def _writable(call: Call) -> bool:
    return call.bearer is not None and call.bearer.scope.endswith(":rw")


def unlock(call: Call) -> Response:
    """GET storage/unlock: writable if the scope says so."""
    return _expose(call, _disk(call), "rw" if _writable(call) else "ro")


def unlock_read_write(call: Call) -> Response:
    """GET storage/unlock/rw: 406 unless the scope says so."""
    disk = _disk(call)
    if not _writable(call):
        raise Refusal(406)
    return _expose(call, disk, "rw")


def unlock_read_only(call: Call) -> Response:
    """GET storage/unlock/ro."""
    return _expose(call, _disk(call), "ro")


def lock(call: Call) -> Response:
    """GET storage/lock."""
    return _expose(call, _disk(call), "-")
