"""What the subcommands of ``hem emulator`` do; the emulator itself is loaded when one runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hem_provider.cli.shape import Given
from hem_provider.errors import HemConfigError

if TYPE_CHECKING:
    from hem_provider.emulator import EmulatedDevice

__all__ = [
    "Failure",
    "backend",
    "climate",
    "faults",
    "guarded",
    "log",
    "openapi",
    "opened",
    "phone",
    "quirks",
    "reset",
    "setting",
]


class Failure(Exception):
    """Something to tell the user; ends the command with status 1."""


def guarded(command: Callable[[Given], int]) -> Callable[[Given], int]:
    """The command with what can go wrong told in one line."""

    def run(arguments: Given) -> int:
        from hem_provider.emulator.cloud.phone import PhoneError
        from hem_provider.emulator.setup import SetupError
        from hem_provider.emulator.store import StateFileError

        try:
            return command(arguments)
        except (Failure, HemConfigError, SetupError, StateFileError, PhoneError, ValueError) as error:
            print(f"hem emulator: {error}", file=sys.stderr)
            return 1

    return run


def opened(arguments: Given, *, existing: bool = False) -> EmulatedDevice:
    """The device of ``--state``, which is made unless it is to be ``existing``."""
    from hem_provider.emulator import EmulatedDevice

    path = Path(arguments.state).absolute()
    if path.is_dir():
        raise Failure(f"{path} is a folder; a chip of an EPA is a file in it: {path / 'c1.hem'}")
    if existing and not path.exists():
        raise Failure(f"there is no state file {path}; 'hem emulator init' or 'serve' makes one")
    firmware = getattr(arguments, "firmware", None)
    return EmulatedDevice(path, model=getattr(arguments, "model", None) or "ppa", firmware=firmware)


def _run(arguments: Given, command: str, parameters: dict[str, Any]) -> Any:
    from hem_provider.emulator import control

    with opened(arguments, existing=True) as device:
        return control.run(device, command, parameters)


def setting(text: str) -> tuple[str, str]:
    """``NAME=VALUE`` as the two."""
    name, equals, value = text.partition("=")
    if not equals:
        raise Failure(f"{text!r} is not NAME=VALUE")
    return name, value


def quirks(arguments: Given) -> int:
    """``hem emulator quirks``: its exit status."""
    from hem_provider.emulator import control
    from hem_provider.emulator.quirks import QUIRKS

    values: dict[str, Any] = {}
    if arguments.settings and not arguments.state:
        raise Failure("setting a switch needs --state")
    if arguments.state:
        with opened(arguments, existing=True) as device:
            for name, value in map(setting, arguments.settings):
                control.run(device, "quirk", {"name": name, "value": value})
            values = control.run(device, "quirks")
    for name, row in QUIRKS.items():
        value = values.get(name, row.default)
        mark = "*" if value != row.default else " "
        print(f"{mark} {name:4} {row.name.name:24} {_word(value):8} {row.summary}")
    return 0


def _word(value: object) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def faults(arguments: Given) -> int:
    """``hem emulator faults``: its exit status."""
    from hem_provider.emulator.faults import FAULTS

    if arguments.state is None:
        if arguments.name:
            raise Failure("ordering a fault needs --state")
        for row in FAULTS.values():
            print(f"{row.name:20} {row.kind.value:10} {row.summary}")
        return 0
    if arguments.name == "clear":
        active = _run(arguments, "clear", {})
    elif arguments.name:
        names = ("name", "endpoint", "probability", "count", "seconds", "status")
        active = _run(arguments, "fault", {name: getattr(arguments, name) for name in names})
    else:
        active = _run(arguments, "faults", {})
    print(json.dumps(active, indent=2))
    return 0


def climate(arguments: Given) -> int:
    """``hem emulator climate``: its exit status."""
    names = ("temperature", "humidity", "temperature_drift", "humidity_drift", "fail_state")
    found = _run(arguments, "climate", {name: getattr(arguments, name) for name in names})
    print(json.dumps(found, indent=2))
    return 0


def log(arguments: Given) -> int:
    """``hem emulator log``: its exit status."""
    from hem_provider.emulator.logdamage import DAMAGES

    if arguments.name is None:
        for row in DAMAGES.values():
            print(f"{row.name:8} {row.summary}")
        return 0
    if arguments.state is None:
        raise Failure("damaging a log needs --state")
    names = ("name", "file", "line", "count", "text")
    found = _run(arguments, "log", {name: getattr(arguments, name) for name in names})
    print(json.dumps(found, indent=2))
    return 0


def openapi(arguments: Given) -> int:
    """``hem emulator openapi``: its exit status."""
    from hem_provider.emulator.openapi import document, document_of
    from hem_provider.emulator.quirks import Switches

    if arguments.state is None:
        found = document(Switches({}))
    else:
        with opened(arguments, existing=True) as device, device.model.transaction():
            found = document_of(device.model)
    print(json.dumps(found, indent=2))
    return 0


def backend(arguments: Given) -> int:
    """``hem emulator backend``: its exit status."""
    names = ("action", "instance", "offset", "newcrt", "newfw", "newui")
    given = {name: getattr(arguments, name) for name in names}
    found = _run(arguments, "backend", {name: value for name, value in given.items() if value is not None})
    print(json.dumps(found, indent=2))
    return 0


def phone(arguments: Given) -> int:
    """``hem emulator phone``: its exit status."""
    if arguments.pair:
        print(_run(arguments, "pair", {"link": arguments.pair})["pid"])
    elif arguments.refuse:
        _run(arguments, "refuse", {"link": arguments.refuse})
    else:
        names = ("answer", "after", "period", "write")
        found = _run(arguments, "phone", {name: getattr(arguments, name) for name in names})
        print(json.dumps(found, indent=2))
    return 0


def reset(arguments: Given) -> int:
    """``hem emulator reset``: its exit status."""
    _run(arguments, "reset", {"how": arguments.how})
    print(f"{arguments.state}: {arguments.how} done", file=sys.stderr)
    return 0
