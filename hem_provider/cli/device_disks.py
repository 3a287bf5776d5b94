"""What ``hem device disks`` does."""

from __future__ import annotations

from typing import Any

from hem_provider.cli.login import logged_in
from hem_provider.cli.meter import Meter
from hem_provider.cli.output import print_json
from hem_provider.cli.saying import say
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import DONE
from hem_provider.config import load_config
from hem_provider.device.hem import Hem, Status
from hem_provider.errors import HemOperationFailed
from hem_provider.waiting import CLOCK

__all__ = ["lock", "show_all", "unlock"]

_NAMES = ("plain", "encrypted")
#: How the device says that a disk is shown → in words.
_MODES = {"-": "hidden", "ro": "read-only", "rw": "writable"}
_SECTOR = 512
#: Longest until a change shows, and between two looks, in seconds.
_SHOWS, _LOOK_EVERY = 15.0, 1.0


def show_all(options: Given) -> int:
    """``hem device disks list``: its exit status. One call, no login."""
    with Hem(load_config().device(options.device)) as hem:
        status = hem.status()
    disks = _disks(status)
    if options.json:
        print_json({"device": hem.config.name, "disks": disks, "formatting": _formatting(status)})
        return DONE
    if not disks:
        say(f"{hem.config.name} has no disks: only USB devices do.")
        return DONE
    from hem_provider.cli.drawing import draw

    rows = [(str(each["disk"]), each["name"], _size(each["bytes"]), each["shown"]) for each in disks]
    draw(("disk", "name", "size", "shown"), rows)
    if _formatting(status):
        say(f"{hem.config.name} is formatting its storage.")
    return DONE


def unlock(options: Given, disk: int) -> int:
    """``hem device disks unlock``: its exit status."""
    mode = "rw" if options.writable else "ro"
    scope = f"storage:disk{disk}{':rw' if options.writable else ''}"
    return _change(options, disk, mode, scope)


def lock(options: Given, disk: int) -> int:
    """``hem device disks lock``: its exit status."""
    return _change(options, disk, "-", f"storage:disk{disk}")


def _change(options: Given, disk: int, mode: str, scope: str) -> int:
    with Hem(load_config().device(options.device)) as hem:
        if disk >= len(hem.status().storage):
            raise HemOperationFailed(f"{hem.config.name} has no disk {disk}: only USB devices do")
    with logged_in(options.device, mobile=options.mobile, scope=scope) as hem:
        if mode == "-":
            hem.admin.lock_disk(disk)
        else:
            hem.admin.unlock_disk(disk, writable=mode == "rw")
        status = _shown(hem, disk, mode)
    found = _disks(status)[disk]
    if options.json:
        print_json({"device": hem.config.name, **found})
    else:
        print(f"{hem.config.name}: disk {disk} ({found['name']}) is {found['shown']}.")
    return DONE


def _shown(hem: Hem, disk: int, mode: str) -> Status:
    """The status in which the change shows. ``HemOperationFailed`` when it does not."""
    with Meter("waiting until it shows") as meter:
        for left in CLOCK.looks(_SHOWS, _LOOK_EVERY):
            meter.waited(_SHOWS - left)
            status = hem.status()
            if any(each.endswith(f":{mode}") for each in status.storage[disk : disk + 1]):
                return status
    now = _disks(status)
    shown = now[disk]["shown"] if disk < len(now) else "gone"
    raise HemOperationFailed(
        f"{hem.config.name}: the device said yes, but disk {disk} is {shown} after {_SHOWS:.0f} s; "
        "hem device disks list tells how it is now"
    )


def _disks(status: Status) -> list[dict[str, Any]]:
    """As the schema has them."""
    found = []
    for number, text in enumerate(status.storage):
        sectors, _, mode = text.partition(":")
        name = _NAMES[number] if number < len(_NAMES) else "unknown"
        found.append(
            {"disk": number, "name": name, "bytes": int(sectors) * _SECTOR, "shown": _MODES.get(mode, mode)}
        )
    return found


def _formatting(status: Status) -> bool:
    return status.format not in (None, "done")


def _size(count: int) -> str:
    return f"{count / 1024**3:.2f} GiB" if count >= 1024**3 else f"{count / 1024**2:.0f} MiB"
