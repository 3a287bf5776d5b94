"""`hem emulator`: run, set up and steer an emulated device."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hem_provider.emulator import EmulatedDevice
    from hem_provider.emulator.serve import Emulator

__all__ = ["add_parser"]

_WARNING = "WARNING: this is an emulator. It protects nothing: keys lie in the clear in its state file."


class _Failure(Exception):
    """Something to tell the user; ends the command with status 1."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the `emulator` command and its subcommands."""
    parser = subparsers.add_parser("emulator", help="run a device in software, for trying and testing")
    add_commands(parser.add_subparsers(metavar="COMMAND", required=True))


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommands alone, for `python -m hem_provider.emulator`."""
    serve = commands.add_parser("serve", help="give an emulated device network ports")
    _add_state(serve, create=True)
    for port in ("https", "http", "cloud"):
        serve.add_argument(f"--{port}-port", type=_port, default=0, metavar="N", help="0 takes a free one")
    serve.add_argument(
        "--latency", default="none", metavar="none|ppa|FILE", help="answer as slowly as hardware"
    )
    serve.add_argument("--keep-alive", action="store_true", help="do not close after each response (Q31)")
    serve.add_argument("--names", metavar="A,B", help="names in the certificates, beside 127.0.0.1")
    serve.add_argument("--init", action="store_true", help="initialise a fresh state and set its clock")
    _add_passphrases(serve, required=False)
    serve.add_argument("--access-log", metavar="FILE", help="append one JSON line per request")
    serve.set_defaults(func=_guarded(_serve))
    init = commands.add_parser("init", help="initialise an emulated device and set its clock")
    _add_state(init, create=True)
    _add_passphrases(init, required=True)
    init.set_defaults(func=_guarded(_init))


def _add_state(parser: argparse.ArgumentParser, *, create: bool = False) -> None:
    parser.add_argument("--state", required=True, metavar="FILE", help="the device's state file")
    if create:
        parser.add_argument(
            "--model", choices=("ppa", "epa"), default="ppa", help="model of a new state file"
        )


def _add_passphrases(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument("--passphrase-file", metavar="FILE", required=required, help="the user's passphrase")
    parser.add_argument("--admin-passphrase-file", metavar="FILE", required=required, help="the master's")


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def _guarded(command: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """The command with what can go wrong told in one line."""

    def run(arguments: argparse.Namespace) -> int:
        from hem_provider.emulator.setup import SetupError
        from hem_provider.emulator.store import StateFileError

        try:
            return command(arguments)
        except (_Failure, SetupError, StateFileError, OSError, ValueError) as error:
            print(f"hem emulator: {error}", file=sys.stderr)
            return 1

    return run


def _secret(path: str | None, option: str) -> str:
    """The first line of a passphrase file."""
    if path is None:
        raise _Failure(f"--init needs {option}")
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    if not lines or not lines[0]:
        raise _Failure(f"{path} has no passphrase in its first line")
    return lines[0]


def _open(arguments: argparse.Namespace) -> EmulatedDevice:
    from hem_provider.emulator import EmulatedDevice

    return EmulatedDevice(Path(arguments.state).absolute(), model=getattr(arguments, "model", "ppa"))


def _initialise(device: EmulatedDevice, arguments: argparse.Namespace) -> None:
    from hem_provider.emulator.setup import initialise

    passphrase = _secret(arguments.passphrase_file, "--passphrase-file")
    admin = _secret(arguments.admin_passphrase_file, "--admin-passphrase-file")
    initialise(device, passphrase=passphrase, admin_passphrase=admin)


def _init(arguments: argparse.Namespace) -> int:
    with _open(arguments) as device:
        _initialise(device, arguments)
    print(f"{arguments.state}: initialised, clock set. Use it as emulator:{arguments.state}", file=sys.stderr)
    print(_WARNING, file=sys.stderr)
    return 0


def _prepare(device: EmulatedDevice, arguments: argparse.Namespace) -> None:
    """Apply the options of `serve` to the device."""
    from hem_provider.emulator import bench
    from hem_provider.emulator.setup import check_in

    with device.model.transaction():
        fresh = device.model.config is None
        bench.set_latency(device.model, arguments.latency)
        bench.set_quirk(device.model, "Q31", "off" if arguments.keep_alive else "on")
    if arguments.init and fresh:
        _initialise(device, arguments)
    elif arguments.init:
        check_in(device)


def _serve(arguments: argparse.Namespace) -> int:
    from hem_provider.emulator import tls
    from hem_provider.emulator.serve import Emulator, Ports

    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    names = (*(arguments.names.split(",") if arguments.names else ()), *tls.DEFAULT_NAMES)
    device = _open(arguments)
    _prepare(device, arguments)
    log = Path(arguments.access_log).open("a", encoding="utf-8") if arguments.access_log else None  # noqa: SIM115
    ports = Ports(arguments.https_port, arguments.http_port, arguments.cloud_port)
    emulator = Emulator(device, ports=ports, names=tuple(dict.fromkeys(names)), access_log=log)
    emulator.start()
    _greet(emulator, arguments)
    print(emulator.ready_line, flush=True)
    try:
        stopping.wait()
    finally:
        emulator.stop()
        if log is not None:
            log.close()
    return 0


def _greet(emulator: Emulator, arguments: argparse.Namespace) -> None:
    lines = [
        _WARNING,
        f"  device  {emulator.https}  (plain HTTP: {emulator.http})",
        f"  cloud   {emulator.cloud}",
        f"  CA      {emulator.ca_file}",
        "To use it from another terminal:",
        f"  export HEM_URL={emulator.https}",
        f"  export HEM_CA_FILE={emulator.ca_file}",
    ]
    if arguments.passphrase_file:
        lines.append(f"  export HEM_PASSPHRASE_FILE={Path(arguments.passphrase_file).absolute()}")
    lines.append("Ctrl-C stops it; the device keeps its state.")
    print("\n".join(lines), file=sys.stderr, flush=True)
