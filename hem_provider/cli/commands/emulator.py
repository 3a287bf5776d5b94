"""``hem emulator``: run, set up and steer an emulated device."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hem_provider.cli.paths import path_text
from hem_provider.errors import HemConfigError
from hem_provider.files import read_file

if TYPE_CHECKING:
    from hem_provider.emulator import EmulatedDevice
    from hem_provider.emulator.server import EmulatorServer

__all__ = ["add_commands", "add_parser"]

_WARNING = "WARNING: this is an emulator. It protects nothing: keys lie in the clear in its state file."
_Commands = argparse._SubParsersAction
#: Largest list of faults, in bytes.
_MAX_FAULTS = 1024 * 1024


class _Failure(Exception):
    """Something to tell the user; ends the command with status 1."""


def add_parser(subparsers: _Commands[argparse.ArgumentParser]) -> None:
    """Add the ``emulator`` command and its subcommands."""
    parser = subparsers.add_parser("emulator", help="run a device in software, for trying and testing")
    add_commands(parser.add_subparsers(metavar="COMMAND", required=True))


def add_commands(commands: _Commands[argparse.ArgumentParser]) -> None:
    """Add the subcommands alone, for ``python -m hem_provider.emulator``."""
    for add in (_add_serve, _add_init, _add_quirks, _add_faults, _add_backend, _add_phone, _add_reset):
        add(commands)


def _add_serve(commands: _Commands[argparse.ArgumentParser]) -> None:
    serve = commands.add_parser("serve", help="give an emulated device network ports")
    _add_state(serve, model=True)
    for port in ("https", "http", "cloud"):
        serve.add_argument(f"--{port}-port", type=_port, default=0, metavar="N", help="0 takes a free one")
    serve.add_argument(
        "--latency",
        type=path_text,
        metavar="none|ppa|browser|FILE",
        help="how long answers take; by default only logins take their time (Q21), with none nothing does",
    )
    serve.add_argument("--keep-alive", action="store_true", help="do not close after each response (Q31)")
    serve.add_argument("--names", metavar="A,B", help="more names for the certificates")
    serve.add_argument("--init", action="store_true", help="initialise a fresh state and set its clock")
    _add_passphrases(serve, required=False)
    serve.add_argument("--quirk", action="append", default=[], metavar="NAME=VALUE", help="set a switch")
    serve.add_argument(
        "--faults", type=path_text, metavar="FILE", help="JSON list of faults to order at the start"
    )
    serve.add_argument(
        "--control", type=path_text, metavar="PATH", help="Unix socket that takes commands while it runs"
    )
    serve.add_argument(
        "--access-log", type=path_text, metavar="FILE", help="append one JSON line per request"
    )
    serve.set_defaults(func=_guarded(_serve))


def _add_init(commands: _Commands[argparse.ArgumentParser]) -> None:
    init = commands.add_parser("init", help="initialise an emulated device and set its clock")
    _add_state(init, model=True)
    _add_passphrases(init, required=True)
    init.set_defaults(func=_guarded(_init))


def _add_quirks(commands: _Commands[argparse.ArgumentParser]) -> None:
    quirks = commands.add_parser("quirks", help="list the switches, or set some in a state file")
    quirks.add_argument("--state", type=path_text, metavar="FILE", help="the device's state file")
    quirks.add_argument("settings", nargs="*", metavar="NAME=VALUE", help="such as Q23=404 or Q11=off")
    quirks.set_defaults(func=_guarded(_quirks))


def _add_faults(commands: _Commands[argparse.ArgumentParser]) -> None:
    faults = commands.add_parser("faults", help="list the faults, order one, or clear them")
    faults.add_argument("--state", type=path_text, metavar="FILE", help="the device's state file")
    faults.add_argument("name", nargs="?", metavar="NAME", help="the fault to order, or 'clear'")
    faults.add_argument("--endpoint", metavar="'METHOD PATH'", help="only requests that start so")
    faults.add_argument("--probability", type=float, metavar="P", help="0 to 1; default 1")
    faults.add_argument("--count", type=int, metavar="N", help="strike N times; default until cleared")
    faults.add_argument("--seconds", type=float, metavar="S", help="duration or amount")
    faults.add_argument("--status", type=int, metavar="N", help="status code, or fail state bits")
    faults.set_defaults(func=_guarded(_faults))


def _add_backend(commands: _Commands[argparse.ArgumentParser]) -> None:
    backend = commands.add_parser("backend", help="tell the check-in backend what to order")
    _add_state(backend)
    actions = ("OK", "L", "W", "R", "B", "U", "???")
    backend.add_argument("--action", choices=actions, help="lock, wipe, report, stop, upgrade; OK is nothing")
    backend.add_argument("--offset", type=int, metavar="S", help="its clock is S seconds wrong")
    backend.add_argument(
        "--newcrt", action=argparse.BooleanOptionalAction, default=None, help="offer a fresh certificate"
    )
    backend.set_defaults(func=_guarded(_backend))


def _add_phone(commands: _Commands[argparse.ArgumentParser]) -> None:
    phone = commands.add_parser("phone", help="tell the simulated phone what to do")
    _add_state(phone)
    phone.add_argument("--answer", choices=("approve", "refuse", "ignore"), help="to login requests")
    phone.add_argument("--after", type=float, metavar="S", help="answer S seconds late")
    phone.add_argument("--period", type=int, metavar="S", help="lifetime it grants; default 900")
    phone.add_argument(
        "--write", action=argparse.BooleanOptionalAction, default=None, help="allow disk writes"
    )
    phone.add_argument(
        "--pair", metavar="LINK", help="scan a pairing link (or the QR code's JSON) and accept"
    )
    phone.add_argument("--refuse", metavar="LINK", help="scan a pairing link and refuse")
    phone.set_defaults(func=_guarded(_phone))


def _add_reset(commands: _Commands[argparse.ArgumentParser]) -> None:
    reset = commands.add_parser("reset", help="restart the device or take it back to the factory")
    _add_state(reset)
    how = reset.add_mutually_exclusive_group(required=True)
    for name, text in (
        ("reboot", "restart without power loss"),
        ("power-cycle", "unplug and plug in; also ends a shutdown"),
        ("wipe", "erase configuration and keys, as the wipe-out command does"),
        ("factory", "a new device in the same file; switches and CA stay"),
    ):
        how.add_argument(f"--{name}", dest="how", action="store_const", const=name, help=text)
    reset.set_defaults(func=_guarded(_reset))


def _add_state(parser: argparse.ArgumentParser, *, model: bool = False) -> None:
    parser.add_argument(
        "--state", required=True, type=path_text, metavar="FILE", help="the device's state file"
    )
    if model:
        parser.add_argument(
            "--model", choices=("ppa", "epa"), default="ppa", help="model of a new state file"
        )
        parser.add_argument(
            "--firmware",
            type=path_text,
            metavar="FILE",
            help="TOML file that describes another firmware than 1.2.2; kept in the state file",
        )


def _add_passphrases(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--passphrase-file", type=path_text, metavar="FILE", required=required, help="the user's passphrase"
    )
    parser.add_argument(
        "--admin-passphrase-file", type=path_text, metavar="FILE", required=required, help="the master's"
    )


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def _guarded(command: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """The command with what can go wrong told in one line."""

    def run(arguments: argparse.Namespace) -> int:
        from hem_provider.emulator.cloud.phone import PhoneError
        from hem_provider.emulator.setup import SetupError
        from hem_provider.emulator.store import StateFileError

        try:
            return command(arguments)
        except (_Failure, HemConfigError, SetupError, StateFileError, PhoneError, ValueError) as error:
            print(f"hem emulator: {error}", file=sys.stderr)
            return 1

    return run


def _secret(path: str | None, option: str) -> str:
    """A passphrase file, read as the client that is to log in with it reads it."""
    from hem_provider.config.passphrase import passphrase_from_file

    if path is None:
        raise _Failure(f"--init needs {option}")
    return passphrase_from_file(Path(path).absolute())


def _open(arguments: argparse.Namespace, *, existing: bool = False) -> EmulatedDevice:
    from hem_provider.emulator import EmulatedDevice

    path = Path(arguments.state).absolute()
    if existing and not path.exists():
        raise _Failure(f"there is no state file {path}; 'hem emulator init' or 'serve' makes one")
    firmware = getattr(arguments, "firmware", None)
    return EmulatedDevice(path, model=getattr(arguments, "model", "ppa"), firmware=firmware)


def _run(arguments: argparse.Namespace, command: str, parameters: dict[str, Any]) -> Any:
    from hem_provider.emulator import control

    with _open(arguments, existing=True) as device:
        return control.run(device, command, parameters)


def _initialise(device: EmulatedDevice, arguments: argparse.Namespace) -> None:
    from hem_provider.emulator.setup import initialise

    passphrase = _secret(arguments.passphrase_file, "--passphrase-file")
    admin = _secret(arguments.admin_passphrase_file, "--admin-passphrase-file")
    initialise(device, passphrase=passphrase, admin_passphrase=admin)


def _init(arguments: argparse.Namespace) -> int:
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


def _prepare(device: EmulatedDevice, arguments: argparse.Namespace) -> None:
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


def _serve(arguments: argparse.Namespace) -> int:
    from hem_provider.emulator import tls
    from hem_provider.emulator.control import ControlSocket
    from hem_provider.emulator.server import EmulatorServer, Ports

    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    names = (*(arguments.names.split(",") if arguments.names else ()), *tls.DEFAULT_NAMES)
    device = _open(arguments)
    device.power_on()
    _prepare(device, arguments)
    log = Path(arguments.access_log).open("a", encoding="utf-8") if arguments.access_log else None  # noqa: SIM115
    ports = Ports(arguments.https_port, arguments.http_port, arguments.cloud_port)
    emulator = EmulatorServer(device, ports=ports, names=tuple(dict.fromkeys(names)), access_log=log)
    control = ControlSocket(device, Path(arguments.control)) if arguments.control else None
    emulator.start()
    if control is not None:
        control.start()
    _greet(emulator, arguments)
    print(emulator.ready_line, flush=True)
    try:
        stopping.wait()
    finally:
        if control is not None:
            control.stop()
        emulator.stop()
        if log is not None:
            log.close()
    return 0


def _greet(emulator: EmulatorServer, arguments: argparse.Namespace) -> None:
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


def _quirks(arguments: argparse.Namespace) -> int:
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


def _faults(arguments: argparse.Namespace) -> int:
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


def _backend(arguments: argparse.Namespace) -> int:
    given = {name: getattr(arguments, name) for name in ("action", "offset", "newcrt")}
    found = _run(arguments, "backend", {name: value for name, value in given.items() if value is not None})
    print(json.dumps(found, indent=2))
    return 0


def _phone(arguments: argparse.Namespace) -> int:
    if arguments.pair:
        print(_run(arguments, "pair", {"link": arguments.pair})["pid"])
    elif arguments.refuse:
        _run(arguments, "refuse", {"link": arguments.refuse})
    else:
        names = ("answer", "after", "period", "write")
        found = _run(arguments, "phone", {name: getattr(arguments, name) for name in names})
        print(json.dumps(found, indent=2))
    return 0


def _reset(arguments: argparse.Namespace) -> int:
    _run(arguments, "reset", {"how": arguments.how})
    print(f"{arguments.state}: {arguments.how} done", file=sys.stderr)
    return 0
