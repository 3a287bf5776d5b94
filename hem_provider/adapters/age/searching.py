"""Which key of which device opens a file: for ``hem decrypt``, and for the plugin where no key is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager

from hem_provider.adapters.age.devicekeys import halves_of
from hem_provider.adapters.age.errors import DamagedFile, NotForThisKey, TooManyTries
from hem_provider.adapters.age.opening import Finder, Opened
from hem_provider.config import DeviceConfig
from hem_provider.device.hem import Hem
from hem_provider.device.key import Key
from hem_provider.errors import HemError

__all__ = ["Login", "find_device"]

#: A device as long as a block lasts, with a login when one is needed.
Login = Callable[[DeviceConfig], AbstractContextManager[Hem]]


def find_device(
    finder: Finder,
    devices: Sequence[DeviceConfig],
    login: Login,
    named: Callable[[Hem], Iterable[Key]] | None = None,
) -> tuple[str, Opened]:
    """The name of the first of ``devices`` that opens the file, and the file's key. ``named`` gives the keys
    to try; without it, all that are remembered are tried, and then all.

    A device whose key the file names comes first, and one that is away does not keep another from opening.
    ``NotForThisKey``, ``DamagedFile``, ``TooManyTries``; of devices none of which opens it, the first error.
    """
    fault: HemError | None = None
    if len(devices) > 1:
        devices = sorted(devices, key=lambda each: not _is_told(finder, each))
    for config in devices:
        try:
            with login(config) as hem:
                opened = _look(finder, hem) if named is None else finder.look(list(halves_of(named(hem))))
        except (DamagedFile, TooManyTries):
            raise
        except HemError as error:
            if len(devices) == 1:
                raise
            fault = fault or error  # another device may have the key
            continue
        if opened is not None:
            return config.name, opened
    names = ", ".join(each.name for each in devices)
    if fault is not None:
        raise type(fault)(f"{fault}; no other device has a key for it") from fault
    which = "it is encrypted for other keys" if named is None else "the given key does not open it"
    raise NotForThisKey(f"{which} ({finder.told()}; tried: {names}). See what keys there are: hem keys list")


def _is_told(finder: Finder, config: DeviceConfig) -> bool:
    """Whether the file says that it is for a key that is remembered of the device. No I/O but the disk's."""
    with Hem(config) as hem:
        return finder.is_told([each for each in halves_of(hem.keys.recalled()) if each.key.known_public])


def _look(finder: Finder, hem: Hem) -> Opened | None:
    """Among the keys that are remembered, and then all."""
    halves = list(halves_of(hem.keys.recalled()))
    opened = finder.look(halves) if halves else None
    if opened is None:
        remembered = {each.key.kid for each in halves}
        halves += [each for each in halves_of(hem.keys) if each.key.kid not in remembered]
        opened = finder.look(halves)
    return opened
