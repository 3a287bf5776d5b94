"""An EPA: a node with several chips, each a device of its own under a host name of its own (device API §1.1).

The chips' state files lie in one folder, ``c1.hem``, ``c2.hem`` and so on. They share the certification
authority and the check-in backend; identity, keys, log, clock and whatever else a device has, each has for
itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from hem_provider.emulator.inprocess import EmulatedDevice
from hem_provider.emulator.state import Tls

__all__ = ["MOST_CHIPS", "Rack", "open_chips"]

#: Chips of a node at most.
MOST_CHIPS: Final = 10
_ZONE: Final = "cloud.ence.do"
_NODE: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Rack:
    """A node and how many chips it has."""

    node: str
    chips: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """``NODE:CHIPS``, such as ``node7:3``; ``ValueError`` says what is accepted."""
        node, _, chips = text.partition(":")
        if not _NODE.fullmatch(node):
            raise ValueError(
                f"NODE of {text!r} is a host name's part of 1 to 63 lower-case letters, digits and hyphens"
            )
        if not re.fullmatch("[0-9]{1,2}", chips) or not 1 <= int(chips) <= MOST_CHIPS:
            raise ValueError(f"{text!r} is not NODE:CHIPS with 1 to {MOST_CHIPS} chips")
        return cls(node, int(chips))

    @property
    def labels(self) -> tuple[str, ...]:
        """``c1``, ``c2`` and so on."""
        return tuple(f"c{number}" for number in range(1, self.chips + 1))

    def host(self, label: str) -> str:
        """The host name of one chip, such as ``c1.node7.cloud.ence.do``."""
        return f"{label}.{self.node}.{_ZONE}"

    @staticmethod
    def names(host: str) -> tuple[str, ...]:
        """What the certificate of the chip with this host name is good for: also the addresses on which the
        emulator serves it."""
        return (host, "localhost", "127.0.0.1")


def open_chips(
    folder: str | os.PathLike[str], rack: Rack, *, firmware: str | os.PathLike[str] | None = None
) -> tuple[EmulatedDevice, ...]:
    """Every chip of a node, in order; state files that do not exist yet become factory-fresh chips, and the
    folder is made with mode 0700.

    Errors as of ``EmulatedDevice``; ``ValueError`` when the folder is a file, or has a chip that is in use
    under another name.
    """
    place = Path(folder)
    if place.exists() and not place.is_dir():
        raise ValueError(f"{place}: an EPA's state is a folder, with a file for each chip")
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    opened: list[EmulatedDevice] = []
    authority: Tls | None = None
    try:
        for label in rack.labels:
            device = EmulatedDevice(
                place / f"{label}.hem", model="epa", firmware=firmware, authority=authority
            )
            opened.append(device)
            authority = _fits(device, rack.host(label))
    except BaseException:
        for device in opened:
            device.close()
        raise
    _share_backend(opened)
    return tuple(opened)


def _fits(device: EmulatedDevice, host: str) -> Tls | None:
    """The authority of a chip that may be called ``host``."""
    model = device.model
    with model.transaction():
        if model.state.factory.model != "epa":
            raise ValueError(f"{device.store.path} is a PPA, not a chip of an EPA")
        if model.config is not None and model.config.hostname != host:
            raise ValueError(f"{device.store.path} is in use as {model.config.hostname}, not as {host}")
        return model.state.knobs.ca


def _share_backend(devices: Sequence[EmulatedDevice]) -> None:
    clouds = [device.cloud_service for device in devices]
    for cloud in clouds:
        cloud.others = tuple(other for other in clouds if other is not cloud)
