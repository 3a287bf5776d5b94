"""What the subcommands of ``hem emulator`` do; the emulator itself is loaded when one runs."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hem_provider.cli.shape import Given
from hem_provider.errors import HemConfigError
from hem_provider.files import read_file

if TYPE_CHECKING:
    from hem_provider.emulator import EmulatedDevice
    from hem_provider.emulator.server import EmulatorServer

__all__ = [
    "backend",
    "climate",
    "faults",
    "guarded",
    "init",
    "log",
    "phone",
    "prepare",
    "quirks",
    "read_secret",
    "reset",
    "serve",
]

_WARNING = "WARNING: this is an emulator. It protects nothing: keys lie in the clear in its state file."
#: Largest list of faults, in bytes.
_MAX_FAULTS = 1024 * 1024


class _Failure(Exception):
    """Something to tell the user; ends the command with status 1."""


def guarded(command: Callable[[Given], int]) -> Callable[[Given], int]:
    """The command with what can go wrong told in one line."""

    def run(arguments: Given) -> int:
        from hem_provider.emulator.cloud.phone import PhoneError
        from hem_provider.emulator.setup import SetupError
        from hem_provider.emulator.store import StateFileError

        try:
            return command(arguments)
        except (_Failure, HemConfigError, SetupError, StateFileError, PhoneError, ValueError) as error:
            print(f"hem emulator: {error}", file=sys.stderr)
            return 1

    return run


def read_secret(path: str | None, option: str) -> str:
    """A passphrase file, read as the client that is to log in with it reads it."""
    from hem_provider.config.passphrase import passphrase_from_file

    if path is None:
        raise _Failure(f"--init needs {option}")
    return passphrase_from_file(Path(path).absolute())


def _open(arguments: Given, *, existing: bool = False) -> EmulatedDevice:
    from hem_provider.emulator import EmulatedDevice

    path = Path(arguments.state).absolute()
    if existing and not path.exists():
        raise _Failure(f"there is no state file {path}; 'hem emulator init' or 'serve' makes one")
    firmware = getattr(arguments, "firmware", None)
    return EmulatedDevice(path, model=getattr(arguments, "model", "ppa"), firmware=firmware)


def _run(arguments: Given, command: str, parameters: dict[str, Any]) -> Any:
    from hem_provider.emulator import control

    with _open(arguments, existing=True) as device:
        return control.run(device, command, parameters)


def _initialise(device: EmulatedDevice, arguments: Given) -> None:
    from hem_provider.emulator.setup import initialise

    passphrase = read_secret(arguments.passphrase_file, "--passphrase-file")
    admin = read_secret(arguments.admin_passphrase_file, "--admin-passphrase-file")
    initialise(device, passphrase=passphrase, admin_passphrase=admin)


def init(arguments: Given) -> int:
    """``hem emulator init``: its exit status."""
    with _open(arguments) as device:
        _initialise(device, arguments)
    url = f"emulator:{Path(arguments.state).absolute()}"
    print(f"{arguments.state}: initialised, clock set. Use it as {url}", file=sys.stderr)
    print(_WARNING, file=sys.stderr)
    return 0


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise _Failure(f"{text!r} is not NAME=VALUE")
    return name, value


def prepare(device: EmulatedDevice, arguments: Given) -> None:
    """Apply the options of ``serve`` to the device."""
    from hem_provider.emulator import control
    from hem_provider.emulator.setup import check_in

    control.run(device, "latency", {"profile": arguments.latency or "none"})
    control.run(device, "quirk", {"name": "Q31", "value": "off" if arguments.keep_alive else "on"})
    throttled = "off" if arguments.latency == "none" else "on"
    control.run(device, "quirk", {"name": "Q21", "value": throttled})
    for name, value in map(_setting, arguments.quirk):
        control.run(device, "quirk", {"name": name, "value": value})
    if arguments.init and not control.run(device, "state")["initialised"]:
        _initialise(device, arguments)
    elif arguments.init:
        check_in(device)
    for place, fault in enumerate(_fault_list(arguments.faults), 1):
        try:
            control.run(device, "fault", fault)
        except (TypeError, ValueError) as error:
            raise _Failure(f"{arguments.faults}: fault {place}: {error}") from None


def _fault_list(path: str | None) -> list[dict[str, Any]]:
    if path is None:
        return []
    try:
        data = read_file(Path(path), "the list of faults", limit=_MAX_FAULTS, trusted=False)
    except OSError as error:
        raise _Failure(f"{path}: {error.strerror}") from None
    try:
        content = json.loads(data.decode("utf-8")) if len(data) <= _MAX_FAULTS else None
    except (ValueError, RecursionError) as error:
        raise _Failure(f"{path}: not JSON: {error}") from None
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise _Failure(f"{path}: not a JSON list of faults")
    return content


def serve(arguments: Given) -> int:
    """``hem emulator serve``: its exit status, once it is told to stop."""
    from hem_provider.emulator import tls
    from hem_provider.emulator.control import ControlSocket
    from hem_provider.emulator.server import EmulatorServer, Ports

    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    names = (*(arguments.names.split(",") if arguments.names else ()), *tls.DEFAULT_NAMES)
    device = _open(arguments)
    device.power_on()
    prepare(device, arguments)
    log = Path(arguments.access_log).open("a", encoding="utf-8") if arguments.access_log else None  # noqa: SIM115
    ports = Ports(arguments.https_port, arguments.http_port, arguments.cloud_port)
    emulator = EmulatorServer(device, ports=ports, names=tuple(dict.fromkeys(names)), access_log=log)
    control = ControlSocket(device, Path(arguments.control)) if arguments.control else None
    emulator.start()
    if control is not None:
        control.start()
    try:
        _greet(emulator, arguments)
        print(emulator.ready_line, flush=True)
        stopping.wait()
    finally:
        if control is not None:
            control.stop()
        emulator.stop()
        if log is not None:
            log.close()
    return 0


def _greet(emulator: EmulatorServer, arguments: Given) -> None:
    lines = [
        _WARNING,
        f"  device  {emulator.https}  (plain HTTP: {emulator.http})",
        f"  cloud   {emulator.cloud}",
        f"  CA      {emulator.ca_file}",
        f"  state   {emulator.device.store.path}",
    ]
    if arguments.passphrase_file:
        lines.append(f"  The passphrase is in {arguments.passphrase_file}.")
    lines.append("To use it from another terminal:")
    settings = {
        "HEM_URL": emulator.https,
        "HEM_CA_FILE": str(emulator.ca_file),
        "HEM_CLOUD_URL": emulator.cloud,
        "HEM_CLOUD_CA_FILE": str(emulator.ca_file),
    }
    if arguments.passphrase_file:
        settings["HEM_PASSPHRASE_FILE"] = str(Path(arguments.passphrase_file).absolute())
    lines += [f"  export {name}={shlex.quote(value)}" for name, value in settings.items()]
    lines.append("Ctrl-C stops it; the device keeps its state.")
    print("\n".join(lines), file=sys.stderr, flush=True)


def quirks(arguments: Given) -> int:
    """``hem emulator quirks``: its exit status."""
    from hem_provider.emulator import control
    from hem_provider.emulator.quirks import QUIRKS

    values: dict[str, Any] = {}
    if arguments.settings and not arguments.state:
        raise _Failure("setting a switch needs --state")
    if arguments.state:
        with _open(arguments, existing=True) as device:
            for name, value in map(_setting, arguments.settings):
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
            raise _Failure("ordering a fault needs --state")
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
    names = ("temperature", "humidity", "temperature_drift", "humidity_drift")
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
        raise _Failure("damaging a log needs --state")
    names = ("name", "file", "line", "count", "text")
    found = _run(arguments, "log", {name: getattr(arguments, name) for name in names})
    print(json.dumps(found, indent=2))
    return 0


def backend(arguments: Given) -> int:
    """``hem emulator backend``: its exit status."""
    given = {name: getattr(arguments, name) for name in ("action", "offset", "newcrt")}
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
