"""What strikes: the emulator's own faults, each by its row, and what befalls a whole device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hem_provider.emulator import control, lifecycle
from hem_provider.emulator.faults import FAULTS, FaultKind

if TYPE_CHECKING:
    from campaign.faults.world import World

__all__ = ["MISHAPS", "Mishap"]

#: Fault → the other statuses that it is tried with. 401 says that the passphrase is wrong: that is believed.
_STATUSES: Mapping[str, tuple[int, ...]] = {
    "status": (403, 409, 502, 503), "status-after": (500, 502),
}  # fmt: skip
#: Fault → the other jumps of the clock (s): what a drift never reaches, and back before all tokens.
_JUMPS: Mapping[str, tuple[float, ...]] = {"clock-error": (-24 * 3600.0, 9 * 3600.0)}


@dataclass(frozen=True, slots=True)
class Mishap:
    """``fault``: the parameters of one of the emulator's, ``{}`` for what ``befall`` does instead."""

    name: str
    fault: Mapping[str, Any]
    befall: Callable[[World], None] | None = None

    @property
    def row(self) -> str:
        """Its line in the table: the emulator's fault, whatever its parameters."""
        return str(self.fault.get("name", self.name))

    @property
    def strikes_requests(self) -> bool:
        return bool(self.fault) and FAULTS[self.row].kind is FaultKind.REQUEST

    def strike(self, world: World, *, count: int = 1) -> None:
        """``count``: requests that it strikes, -1 for all from now on."""
        if self.befall is not None:
            self.befall(world)
            return
        more: dict[str, Any] = {}
        if self.strikes_requests:
            more["count"] = count
            if FAULTS[self.row].seconds:
                more["seconds"] = world.seconds
        control.run(world.rig.device, "fault", {**self.fault, **more})


def _of_faults() -> list[Mishap]:
    found = []
    for name in FAULTS:
        found.append(Mishap(name, {"name": name}))
        found += [
            Mishap(f"{name} {each}", {"name": name, "status": each}) for each in _STATUSES.get(name, ())
        ]
        found += [
            Mishap(f"{name} {each:g} s", {"name": name, "seconds": each}) for each in _JUMPS.get(name, ())
        ]
    return found


def _on_device(change: Callable[[Any], None]) -> Callable[[World], None]:
    def befall(world: World) -> None:
        world.keep()
        with world.rig.device.model.transaction():
            change(world.rig.device.model)

    return befall


#: All of them. A fault that the emulator gets appears here by itself.
MISHAPS = (
    *_of_faults(),
    Mishap("restart", {}, _on_device(lifecycle.reboot)),
    Mishap("power cut", {}, _on_device(lifecycle.power_cycle)),
    Mishap("unplugged", {}, _on_device(lifecycle.power_off)),
    Mishap("wiped", {}, _on_device(lifecycle.wipe)),
    Mishap("another device", {}, _on_device(lifecycle.renew)),
)
