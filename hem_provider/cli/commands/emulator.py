"""``hem emulator``: run a device in software, for trying and testing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from hem_provider.cli import emulator_actions as actions
from hem_provider.cli import emulator_serving as serving
from hem_provider.cli.exports import shell_option
from hem_provider.cli.options import FILE_TEXT, Whole
from hem_provider.cli.shape import Given, Group, argument, exclusive, given

__all__ = ["command"]

F = TypeVar("F", bound=Callable[..., Any])

command = Group("emulator", help=__doc__, subcommand_metavar="COMMAND ...")

_PORT = Whole(0, 65535, "port")
_STATE = "the device's state file"
_RESETS = {
    "reboot": "restart without power loss",
    "power_cycle": "unplug and plug in; also ends a shutdown",
    "wipe": "erase configuration and keys, as the wipe-out command does",
    "factory": "a new device in the same file; switches and CA stay",
}

_state = click.option("--state", required=True, type=FILE_TEXT, metavar="FILE", help=_STATE)
_state_here = click.option(
    "--state", default="device.hem", type=FILE_TEXT, metavar="FILE", help=f"{_STATE}; default: device.hem"
)
_state_or_none = click.option("--state", type=FILE_TEXT, metavar="FILE", help=_STATE)


def _model(callback: F) -> F:
    """The options that say what a new state file is of."""
    model = click.option(
        "--model", type=click.Choice(("ppa", "epa")), help="model of a new state file; ppa unless told"
    )
    epa = click.option(
        "--epa",
        metavar="NODE:CHIPS",
        help="the chips of an EPA, each with the host name cN.NODE.cloud.ence.do; --state is a folder then",
    )
    firmware = click.option(
        "--firmware",
        type=FILE_TEXT,
        metavar="FILE",
        help="TOML file that describes another firmware than 1.2.2; kept in the state file",
    )
    return model(epa(firmware(callback)))


def _ports(callback: F) -> F:
    for port in ("cloud", "http", "https"):
        callback = click.option(
            f"--{port}-port",
            type=_PORT,
            metavar="N",
            help="0 takes a free one; default: that of the last time",
        )(callback)
    return callback


def _passphrases(*, required: bool) -> Callable[[F], F]:
    user = click.option(
        "--passphrase-file", type=FILE_TEXT, metavar="FILE", required=required, help="the user's passphrase"
    )
    master = click.option(
        "--admin-passphrase-file", type=FILE_TEXT, metavar="FILE", required=required, help="the master's"
    )
    return lambda callback: user(master(callback))


@command.command(
    "serve",
    help="give an emulated device network ports",
    example="hem emulator serve --state device.hem --init --https-port 8443",
)
@_state
@_model
@_ports
@click.option(
    "--latency",
    type=FILE_TEXT,
    metavar="none|ppa|browser|FILE",
    help="how long answers take; by default only logins take their time (Q21), with none nothing does",
)
@click.option("--clock-rate", metavar="N", help="N seconds of the device and its cloud pass in one of ours")
@click.option("--keep-alive", is_flag=True, help="do not close after each response (Q31)")
@click.option("--names", metavar="A,B", help="more names for the certificates")
@click.option("--init", is_flag=True, help="initialise a fresh state and set its clock")
@_passphrases(required=False)
@click.option("--quirk", multiple=True, metavar="NAME=VALUE", help="set a switch")
@click.option("--faults", type=FILE_TEXT, metavar="FILE", help="JSON list of faults to order at the start")
@click.option(
    "--control", type=FILE_TEXT, metavar="PATH", help="Unix socket that takes commands while it runs"
)
@click.option("--access-log", type=FILE_TEXT, metavar="FILE", help="append one JSON line per request")
@click.option("--openapi", is_flag=True, help="have the OpenAPI document at /openapi.json, as no device has")
@given
def _serve(options: Given) -> int:
    return actions.guarded(serving.serve)(options)


@command.command(
    "start",
    help="serve a device in the background, made and initialised unless it is there, and print what a shell "
    "needs to use it",
    example='eval "$(hem emulator start)"',
)
@_state_here
@_ports
@shell_option()
@given
def _start(options: Given) -> int:
    from hem_provider.cli import emulator_background

    return actions.guarded(emulator_background.start)(options)


@command.command(
    "stop", help="end what start started; the device keeps its state", example="hem emulator stop"
)
@_state_here
@given
def _stop(options: Given) -> int:
    from hem_provider.cli import emulator_background

    return actions.guarded(emulator_background.stop)(options)


@command.command(
    "init",
    help="initialise an emulated device and set its clock",
    example="hem emulator init --state device.hem --passphrase-file user --admin-passphrase-file master",
)
@_state
@_model
@_passphrases(required=True)
@given
def _init(options: Given) -> int:
    return actions.guarded(serving.init)(options)


@command.command(
    "quirks",
    help="list the switches, or set some in a state file",
    example="hem emulator quirks --state device.hem Q23=404",
)
@_state_or_none
@argument("settings", nargs=-1, metavar="[NAME=VALUE]...", help="such as Q23=404 or Q11=off")
@given
def _quirks(options: Given) -> int:
    return actions.guarded(actions.quirks)(options)


@command.command(
    "faults",
    help="list the faults, order one, or clear them",
    example="hem emulator faults --state device.hem stall --count 1",
)
@_state_or_none
@argument("name", required=False, metavar="[NAME]", help="the fault to order, or 'clear'")
@click.option("--endpoint", metavar="'METHOD PATH'", help="only requests that start so")
@click.option("--probability", type=float, metavar="P", help="0 to 1; default 1")
@click.option("--count", type=int, metavar="N", help="strike N times; default until cleared")
@click.option("--seconds", type=float, metavar="S", help="duration or amount")
@click.option("--status", type=int, metavar="N", help="status code, or fail state bits")
@given
def _faults(options: Given) -> int:
    return actions.guarded(actions.faults)(options)


@command.command(
    "climate",
    help="set temperature, humidity and fail state of the device, or let it drift",
    example="hem emulator climate --state device.hem --temperature 80 --temperature-drift 10",
)
@_state
@click.option("--temperature", metavar="C", help="in degrees Celsius")
@click.option("--humidity", metavar="P|none", help="relative, in per cent; none: no such field")
@click.option("--temperature-drift", metavar="C", help="degrees Celsius an hour")
@click.option("--humidity-drift", metavar="P", help="per cent an hour")
@click.option("--fail-state", type=int, metavar="BITS", help="all bits of fls_state; 0 is healthy")
@given
def _climate(options: Given) -> int:
    return actions.guarded(actions.climate)(options)


@command.command(
    "log",
    help="list what can become of a log, or damage a file of it",
    example="hem emulator log --state device.hem alter --line 3",
)
@_state_or_none
@argument("name", required=False, metavar="[DAMAGE]", help="what becomes of it")
@click.option("--file", metavar="ID", help="8 hex digits; the newest finished one unless told")
@click.option("--line", type=int, metavar="N", help="from 1, the head of the file")
@click.option("--count", type=int, metavar="N", help="bytes of a long line, or how many files")
@click.option("--text", metavar="TEXT", help="of an altered or a foreign line")
@given
def _log(options: Given) -> int:
    return actions.guarded(actions.log)(options)


@command.command(
    "openapi",
    help="print the device's API as an OpenAPI 3.1 document",
    example="hem emulator openapi > hem-api.json",
)
@click.option("--state", type=FILE_TEXT, metavar="FILE", help="of this device; a PPA with 1.2.2 unless told")
@given
def _openapi(options: Given) -> int:
    return actions.guarded(actions.openapi)(options)


@command.command(
    "backend",
    help="tell the check-in backend what to order",
    example="hem emulator backend --state device.hem --newcrt",
)
@_state
@click.option(
    "--action",
    type=click.Choice(("OK", "L", "W", "R", "B", "U", "???")),
    help="lock, wipe, report, stop, upgrade; OK is nothing",
)
@click.option("--instance", metavar="UUID", help="order it for the device with this instance id alone")
@click.option("--offset", type=int, metavar="S", help="its clock is S seconds wrong")
@click.option("--newcrt/--no-newcrt", default=None, help="offer a fresh certificate")
@click.option("--newfw/--no-newfw", default=None, help="tell of newer firmware")
@click.option("--newui/--no-newui", default=None, help="tell of a newer dashboard")
@given
def _backend(options: Given) -> int:
    return actions.guarded(actions.backend)(options)


@command.command(
    "phone",
    help="tell the simulated phone what to do",
    example="hem emulator phone --state device.hem --answer approve --after 2",
)
@_state
@click.option("--answer", type=click.Choice(("approve", "refuse", "ignore")), help="to login requests")
@click.option("--after", type=float, metavar="S", help="answer S seconds late")
@click.option("--period", type=int, metavar="S", help="lifetime it grants; default 900")
@click.option("--write/--no-write", default=None, help="allow disk writes")
@click.option("--pair", metavar="LINK", help="scan a pairing link (or the QR code's JSON) and accept")
@click.option("--refuse", metavar="LINK", help="scan a pairing link and refuse")
@given
def _phone(options: Given) -> int:
    return actions.guarded(actions.phone)(options)


def _resets(callback: F) -> F:
    for name, text in reversed(_RESETS.items()):
        option = click.option(f"--{name.replace('_', '-')}", name, is_flag=True, help=text)
        callback = option(callback)
    return callback


@command.command(
    "reset",
    help="restart the device or take it back to the factory",
    example="hem emulator reset --state device.hem --power-cycle",
)
@_state
@_resets
@exclusive(*_RESETS, required=True)
@given
def _reset(options: Given) -> int:
    options.how = next(each for each in _RESETS if getattr(options, each)).replace("_", "-")
    return actions.guarded(actions.reset)(options)
