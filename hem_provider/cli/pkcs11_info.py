"""``hem pkcs11 info``: the module, its versions, and the devices behind its slots."""

from __future__ import annotations

import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hem_pkcs11.functions.general import CRYPTOKI_VERSION
from hem_pkcs11.slots import make_slots

from hem_provider._version import __version__
from hem_provider.cli.ownpython import own_python
from hem_provider.cli.statuses import DONE, FAILED, NOT_REACHED
from hem_provider.config import DeviceConfig, load_config
from hem_provider.device.hem import Hem
from hem_provider.errors import HemConfigError, HemConnectionError, HemError, HemNotInitialized
from hem_provider.measuring.table import table

__all__ = ["print_info"]

_AT_ONCE = 16


def print_info(module: Path) -> int:
    """Print it all; each device is asked once, all at the same time.

    Returns the exit status: 1 when nothing is configured or the module has no Python to run, 3 when a device
    is not reached. Raises
    ``HemConfigError`` for settings that cannot be used.
    """
    newest = ".".join(map(str, CRYPTOKI_VERSION))
    print(f"module    {module}")
    print(f"version   hem-provider {__version__}, PKCS#11 2.40, 3.0 and {newest}")
    print(f"Python    {platform.python_version()} of {sys.prefix}")
    own = own_python(module)
    print(f"libpython {own.library or 'none'}")
    if own.problem:
        print(f"\nPrograms other than Python cannot use the module: {own.problem}\n")
    config = load_config()
    print(f"settings  {config.source}")
    if not config.devices:
        print(
            "\nNo device is configured, so the module has no slots. Set HEM_URL, or write [[device]] with\n"
            'url = "https://…" into the configuration file (docs/configuration.md).'
        )
        return FAILED
    slots = [(number, slot.config) for number, slot in make_slots(config, Hem).items()]
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        answers = list(pool.map(_answer, (device for _, device in slots)))
    rows = [
        (str(number), device.name, device.url, answer)
        for (number, device), (_, answer) in zip(slots, answers, strict=True)
    ]
    print()
    print(table(("slot", "token", "device", "answer"), rows, right=(0,)))
    if not all(there for there, _ in answers):
        return NOT_REACHED
    return FAILED if own.problem else DONE


def _answer(device: DeviceConfig) -> tuple[bool, str]:
    """Whether the device answers, and what its answer to one call tells, in words."""
    with Hem(device) as hem:
        try:
            identity = hem.probe()
        except HemNotInitialized:
            return True, "there, and not initialised"
        except HemConnectionError as error:
            return False, f"not reached: {error}"
        except HemConfigError as error:
            return False, f"not asked: {error}"
        except HemError as error:
            return True, f"there, but: {error}"
        kind = "the emulator" if hem.is_emulator else "a device"
        return True, f"there: {kind}, its user is {identity.label!r}"
