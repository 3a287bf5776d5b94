"""What ``hem decrypt`` does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial

from hem_provider.adapters.age.devicekeys import DeviceHalf
from hem_provider.adapters.age.errors import DamagedFile, NotForThisKey, TooManyTries
from hem_provider.adapters.age.files import EncryptedFile
from hem_provider.adapters.age.opening import Finder
from hem_provider.adapters.age.searching import find_device
from hem_provider.cli.choosing import named_key
from hem_provider.cli.itself import check_not_itself
from hem_provider.cli.login import logged_in
from hem_provider.cli.output import print_json
from hem_provider.cli.piping import STANDARD, check_output, input_from, output_to
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import UsageFault
from hem_provider.config import DeviceConfig, load_config
from hem_provider.device.hem import Hem, Key

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
                finder = Finder(file.header)
                login = partial(_login, options)
                device, opened = find_device(finder, devices, login, _named(options.key))
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


def _login(options: Given, config: DeviceConfig) -> AbstractContextManager[Hem]:
    return logged_in(config.name, mobile=options.mobile)


def _named(names: Sequence[str]) -> Callable[[Hem], Iterable[Key]] | None:
    """What finds the keys of these names; ``None`` where none is given."""
    return (lambda hem: [named_key(hem, each) for each in names]) if names else None
