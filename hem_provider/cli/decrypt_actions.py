"""What ``hem decrypt`` does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hem_provider.adapters.age.devicekeys import DeviceHalf, halves_of
from hem_provider.adapters.age.errors import DamagedFile, NotForThisKey, TooManyTries
from hem_provider.adapters.age.files import EncryptedFile
from hem_provider.adapters.age.opening import Finder, Opened
from hem_provider.cli.choosing import named_key
from hem_provider.cli.itself import check_not_itself
from hem_provider.cli.login import logged_in
from hem_provider.cli.output import print_json
from hem_provider.cli.piping import STANDARD, check_output, input_from, output_to
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import UsageFault
from hem_provider.config import DeviceConfig, load_config
from hem_provider.device.hem import Hem
from hem_provider.errors import HemError

__all__ = ["decrypt"]

#: What was secret is for its owner.
_MODE = 0o600


def decrypt(options: Given) -> int:
    """``hem decrypt``: its exit status."""
    if options.json and options.output in (None, STANDARD):
        raise UsageFault("--json tells of a file: give --output FILE, since standard output has the JSON")
    check_output(options.output, force=options.force, what="what was encrypted", binary=True)
    check_not_itself(options.output, options.file, "decrypted")
    devices = _candidates(options.device)
    with input_from(options.file) as source:
        try:
            with output_to(options.output, force=options.force, mode=_MODE) as output:
                file = EncryptedFile(source.stream)
                device, opened = _open(Finder(file.header), devices, options)
                size = source.size if source.size is None or not file.armor else source.size * 3 // 4
                output.take(file.plaintext(opened.file_key), f"decrypting {source.name}", size)
        except (DamagedFile, NotForThisKey, TooManyTries) as error:
            raise type(error)(f"{source.name}: {error}") from None
    if options.json:
        kids = [each.key.kid for each in opened.halves if isinstance(each, DeviceHalf)]
        document = {"output": output.name, "size": output.written, "device": device, "keys": kids}
        print_json(document)
    return 0


def _candidates(name: str | None) -> Sequence[DeviceConfig]:
    config = load_config()
    return config.devices if name is None and len(config.devices) > 1 else [config.device(name)]


def _open(finder: Finder, devices: Sequence[DeviceConfig], options: Given) -> tuple[str, Opened]:
    """The device whose key opens the file, and the file's key."""
    fault: HemError | None = None
    if len(devices) > 1:
        devices = sorted(devices, key=lambda each: not _is_told(finder, each))
    for config in devices:
        try:
            with logged_in(config.name, mobile=options.mobile) as hem:
                opened = _look(finder, hem, options.key)
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
    which = "the given key does not open it" if options.key else "it is encrypted for other keys"
    raise NotForThisKey(f"{which} ({finder.told()}; tried: {names}). See what keys there are: hem keys list")


def _is_told(finder: Finder, config: DeviceConfig) -> bool:
    """Whether the file says that it is for a key that is remembered of the device. No I/O but the disk's."""
    with Hem(config) as hem:
        return finder.is_told([each for each in halves_of(hem.keys.recalled()) if each.key.known_public])


def _look(finder: Finder, hem: Hem, names: Iterable[str]) -> Opened | None:
    """Among the keys of these names; without any, among those that are remembered, and then all."""
    named = list(names)
    if named:
        return finder.look(list(halves_of(named_key(hem, each) for each in named)))
    halves = list(halves_of(hem.keys.recalled()))
    opened = finder.look(halves) if halves else None
    if opened is None:
        remembered = {each.key.kid for each in halves}
        halves += [each for each in halves_of(hem.keys) if each.key.kid not in remembered]
        opened = finder.look(halves)
    return opened
