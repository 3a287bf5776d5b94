"""Endpoint group ``/api/storage``: the USB disks of a device (device API §15)."""

from __future__ import annotations

from hem_provider.rest.channel import EndpointGroup

__all__ = ["StorageApi", "storage_scope"]


def storage_scope(disk: int, *, writable: bool = False) -> str:
    """The scope that names disk (0: plain, 1: encrypted) and mode: the token decides, not the call."""
    if disk not in (0, 1):
        raise ValueError(f"disk: {disk}; accepted: 0 (plain) or 1 (encrypted)")
    return f"storage:disk{disk}{':rw' if writable else ''}"


class StorageApi(EndpointGroup):
    """Exposes disks over USB; visible in the status some seconds later. USB devices only."""

    def unlock(self, *, read_only: bool | None = None, token: str) -> None:
        """``GET unlock``: the disk of the token's scope; ``read_only`` narrows or insists (``rw``
        on a token without it is refused). ``None`` leaves it to the scope."""
        suffix = {None: "", True: "/ro", False: "/rw"}[read_only]
        self._channel.call("GET", f"/api/storage/unlock{suffix}", token=token)

    def lock(self, *, token: str) -> None:
        """``GET lock``: eject the disk of the token's scope."""
        self._channel.call("GET", "/api/storage/lock", token=token)
