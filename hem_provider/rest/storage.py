"""Endpoint group ``/api/storage``: the USB disks of a device (device API §15). USB devices only."""

from __future__ import annotations

from hem_provider.rest.call import Call, done

__all__ = ["lock", "storage_scope", "unlock"]


def storage_scope(disk: int, *, writable: bool = False) -> str:
    """The scope that names disk (0: plain, 1: encrypted) and mode: the token decides, not the call.
    ``ValueError`` for another disk."""
    if disk not in (0, 1):
        raise ValueError(f"disk: {disk}; accepted: 0 (plain) or 1 (encrypted)")
    return f"storage:disk{disk}{':rw' if writable else ''}"


def unlock(disk: int, *, writable: bool = False, read_only: bool | None = None) -> Call[None]:
    """``GET unlock``: show a disk over USB; visible in the status some seconds later.

    ``writable``: by a token that permits it. ``read_only`` narrows or insists (``rw`` on a token without
    it is refused); ``None`` leaves it to the token.
    """
    suffix = {None: "", True: "/ro", False: "/rw"}[read_only]
    scopes = (storage_scope(disk, writable=writable),)
    return Call("GET", f"/api/storage/unlock{suffix}", done, scopes=scopes, repeatable=True)


def lock(disk: int) -> Call[None]:
    """``GET lock``: eject a disk."""
    scopes = (storage_scope(disk), storage_scope(disk, writable=True))
    return Call("GET", "/api/storage/lock", done, scopes=scopes, repeatable=True)
