"""Fill an emulated device with keys in one go, as if made through this package one by one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hem_provider.device.description import Description
from hem_provider.emulator import EmulatedDevice
from hem_provider.emulator.keys import generate, kid_of
from hem_provider.emulator.keytypes import KEY_TYPES
from hem_provider.emulator.repository import Record

__all__ = ["application_id", "fill_device", "label", "records"]

_TYPE = "SECP256R1"


def label(number: int) -> str:
    """The label of key ``number``."""
    return f"key {number}"


def application_id(number: int) -> bytes:
    """The id an application would have chosen: 4 bytes."""
    return number.to_bytes(4, "big")


def fill_device(state: Path, count: int) -> None:
    """Add P-256 keys 0 to ``count`` - 1 to the device whose state is in ``state``, which is not
    served. They may be more than a device has room for."""
    with EmulatedDevice(state) as device, device.model.transaction():
        device.model.repository.fill(records(count, device.model.now()))


def records(count: int, now: int) -> Iterator[Record]:
    """Keys 0 to ``count`` - 1."""
    kind = KEY_TYPES[_TYPE]
    for number in range(count):
        made = generate(kind)
        yield Record(
            kid_of(made.public), kind.name, label(number),
            Description(application_id=application_id(number)).pack(), now, now, modes=("ECDH", "ExDSA"),
            attested=True, private=True, secret=made.secret, public=made.public,
        )  # fmt: skip
