"""``hem emulator``: run, set up and steer an emulated device."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from hem_provider.cli import emulator_actions as actions
from hem_provider.cli.paths import path_text

if TYPE_CHECKING:
    pass

__all__ = ["add_parser"]

_Commands = argparse._SubParsersAction


def add_parser(subparsers: _Commands[argparse.ArgumentParser]) -> None:
    """Add the ``emulator`` command and its subcommands."""
    parser = subparsers.add_parser("emulator", help="run a device in software, for trying and testing")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
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
    serve.set_defaults(func=actions.guarded(actions.serve))


def _add_init(commands: _Commands[argparse.ArgumentParser]) -> None:
    init = commands.add_parser("init", help="initialise an emulated device and set its clock")
    _add_state(init, model=True)
    _add_passphrases(init, required=True)
    init.set_defaults(func=actions.guarded(actions.init))


def _add_quirks(commands: _Commands[argparse.ArgumentParser]) -> None:
    quirks = commands.add_parser("quirks", help="list the switches, or set some in a state file")
    quirks.add_argument("--state", type=path_text, metavar="FILE", help="the device's state file")
    quirks.add_argument("settings", nargs="*", metavar="NAME=VALUE", help="such as Q23=404 or Q11=off")
    quirks.set_defaults(func=actions.guarded(actions.quirks))


def _add_faults(commands: _Commands[argparse.ArgumentParser]) -> None:
    faults = commands.add_parser("faults", help="list the faults, order one, or clear them")
    faults.add_argument("--state", type=path_text, metavar="FILE", help="the device's state file")
    faults.add_argument("name", nargs="?", metavar="NAME", help="the fault to order, or 'clear'")
    faults.add_argument("--endpoint", metavar="'METHOD PATH'", help="only requests that start so")
    faults.add_argument("--probability", type=float, metavar="P", help="0 to 1; default 1")
    faults.add_argument("--count", type=int, metavar="N", help="strike N times; default until cleared")
    faults.add_argument("--seconds", type=float, metavar="S", help="duration or amount")
    faults.add_argument("--status", type=int, metavar="N", help="status code, or fail state bits")
    faults.set_defaults(func=actions.guarded(actions.faults))


def _add_backend(commands: _Commands[argparse.ArgumentParser]) -> None:
    backend = commands.add_parser("backend", help="tell the check-in backend what to order")
    _add_state(backend)
    orders = ("OK", "L", "W", "R", "B", "U", "???")
    backend.add_argument("--action", choices=orders, help="lock, wipe, report, stop, upgrade; OK is nothing")
    backend.add_argument("--offset", type=int, metavar="S", help="its clock is S seconds wrong")
    backend.add_argument(
        "--newcrt", action=argparse.BooleanOptionalAction, default=None, help="offer a fresh certificate"
    )
    backend.set_defaults(func=actions.guarded(actions.backend))


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
    phone.set_defaults(func=actions.guarded(actions.phone))


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
    reset.set_defaults(func=actions.guarded(actions.reset))


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
