"""``hem emulator serve`` and ``init``: one device, or the chips of an EPA."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from hem_provider.cli.emulator_actions import Failure, opened, setting
from hem_provider.cli.exports import exported
from hem_provider.cli.shape import Given
from hem_provider.cli.stopping import signalled
from hem_provider.files import read_file
from hem_provider.records import frozen

if TYPE_CHECKING:
    from hem_provider.emulator import EmulatedDevice
    from hem_provider.emulator.control import ControlSocket
    from hem_provider.emulator.server import EmulatorServer

__all__ = ["WARNING", "init", "prepare", "read_secret", "serve", "settings_of"]

WARNING = "WARNING: this is an emulator. It protects nothing: keys lie in the clear in its state file."
#: Largest list of faults, in bytes.
_MAX_FAULTS = 1024 * 1024


@frozen
class _Unit:
    """A device to serve. ``host``, ``label``: of a chip of an EPA, otherwise empty; ``names``: of its
    certificate; ``place``: from 0."""

    device: EmulatedDevice
    names: tuple[str, ...]
    host: str = ""
    label: str = ""
    place: int = 0


@contextmanager
def _units(arguments: Given) -> Iterator[list[_Unit]]:
    """The devices that are meant, closed at the end."""
    from hem_provider.emulator import tls
    from hem_provider.emulator.rack import Rack, open_chips

    named = getattr(arguments, "names", None)
    more = tuple(named.split(",")) if named else ()
    if arguments.epa is None:
        with opened(arguments) as device:
            yield [_Unit(device, tuple(dict.fromkeys((*more, *tls.DEFAULT_NAMES))))]
        return
    if arguments.model == "ppa":
        raise Failure("--epa is a set of EPA chips; --model ppa does not go with it")
    rack = Rack.parse(arguments.epa)
    with ExitStack() as stack:
        devices = open_chips(Path(arguments.state).absolute(), rack, firmware=arguments.firmware)
        for device in devices:
            stack.callback(device.close)
        hosts = [rack.host(label) for label in rack.labels]
        yield [
            _Unit(device, tuple(dict.fromkeys((*rack.names(host), *more))), host, label, place)
            for place, (device, host, label) in enumerate(zip(devices, hosts, rack.labels, strict=True))
        ]


def read_secret(path: str | None, option: str) -> str:
    """A passphrase file, read as the client that is to log in with it reads it."""
    from hem_provider.config.passphrase import passphrase_from_file

    if path is None:
        raise Failure(f"--init needs {option}")
    return passphrase_from_file(Path(path).absolute())


def _initialise(unit: _Unit, arguments: Given) -> None:
    from hem_provider.emulator.setup import initialise

    passphrase = read_secret(arguments.passphrase_file, "--passphrase-file")
    admin = read_secret(arguments.admin_passphrase_file, "--admin-passphrase-file")
    hostname = unit.host or "my.ence.do"
    initialise(unit.device, passphrase=passphrase, admin_passphrase=admin, hostname=hostname)


def init(arguments: Given) -> int:
    """``hem emulator init``: its exit status."""
    with _units(arguments) as units:
        for unit in units:
            _initialise(unit, arguments)
            path = unit.device.store.path
            called = f" as {unit.host}" if unit.host else ""
            print(f"{path}: initialised{called}, clock set. Use it as emulator:{path}", file=sys.stderr)
    print(WARNING, file=sys.stderr)
    return 0


def prepare(device: EmulatedDevice, arguments: Given) -> None:
    """Apply the options of ``serve`` to the device."""
    _prepare(_Unit(device, ()), arguments)


def _prepare(unit: _Unit, arguments: Given) -> None:
    device = unit.device
    from hem_provider.emulator import control
    from hem_provider.emulator.setup import check_in

    control.run(device, "latency", {"profile": arguments.latency or "none"})
    control.run(device, "quirk", {"name": "Q31", "value": "off" if arguments.keep_alive else "on"})
    throttled = "off" if arguments.latency == "none" else "on"
    control.run(device, "quirk", {"name": "Q21", "value": throttled})
    for name, value in map(setting, arguments.quirk):
        control.run(device, "quirk", {"name": name, "value": value})
    if arguments.init and not control.run(device, "state")["initialised"]:
        _initialise(unit, arguments)
    elif arguments.init:
        check_in(device)
    for place, fault in enumerate(_fault_list(arguments.faults), 1):
        try:
            control.run(device, "fault", fault)
        except (TypeError, ValueError) as error:
            raise Failure(f"{arguments.faults}: fault {place}: {error}") from None


def _fault_list(path: str | None) -> list[dict[str, Any]]:
    if path is None:
        return []
    try:
        data = read_file(Path(path), "the list of faults", limit=_MAX_FAULTS, trusted=False)
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from None
    try:
        content = json.loads(data.decode("utf-8")) if len(data) <= _MAX_FAULTS else None
    except (ValueError, RecursionError) as error:
        raise Failure(f"{path}: not JSON: {error}") from None
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise Failure(f"{path}: not a JSON list of faults")
    return content


def serve(arguments: Given) -> int:
    """``hem emulator serve``: its exit status, once it is told to stop."""
    from hem_provider.emulator.clock import rate_of

    with ExitStack() as stack:
        wait = stack.enter_context(signalled())
        units = stack.enter_context(_units(arguments))
        for unit in units:
            rate, model = rate_of(arguments.clock_rate or "1"), unit.device.model
            with model.transaction():
                fresh = model.config is None
            if not fresh and rate != 1:
                model.press_time(rate)
            unit.device.power_on()
            _prepare(unit, arguments)
            if fresh and rate != 1:  # whoever initialises has 60 s of the device
                model.press_time(rate)
        log = None
        if arguments.access_log:
            log = stack.enter_context(Path(arguments.access_log).open("a", encoding="utf-8"))
        servers = [stack.enter_context(_served(unit, arguments, log)) for unit in units]
        for unit in units:
            if arguments.control:
                stack.enter_context(_controlled(unit, arguments.control))
        _greet(servers, units, arguments)
        print("\n".join(server.ready_line for server in servers), flush=True)
        wait()
    return 0


@contextmanager
def _served(unit: _Unit, arguments: Given, log: IO[str] | None) -> Iterator[EmulatorServer]:
    """Ports that were told are those of the first device; the others have the next ones."""
    from hem_provider.emulator.server import EmulatorServer, Ports

    told = (arguments.https_port, arguments.http_port, arguments.cloud_port)
    ports = Ports(*(port + unit.place if port else port for port in told))
    server = EmulatorServer(
        unit.device,
        ports=ports,
        names=unit.names,
        access_log=log,
        called=unit.host,
        openapi=arguments.openapi,
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def _controlled(unit: _Unit, path: str) -> Iterator[ControlSocket]:
    from hem_provider.emulator.control import ControlSocket

    control = ControlSocket(unit.device, Path(f"{path}.{unit.label}" if unit.label else path))
    control.start()
    try:
        yield control
    finally:
        control.stop()


def _greet(servers: list[EmulatorServer], units: list[_Unit], arguments: Given) -> None:
    lines = [WARNING]
    for server in servers:
        called = server.called or "device"
        lines.append(f"  {called}  {server.https}  (plain HTTP: {server.http})")
        lines.append(f"  cloud   {server.cloud}")
        lines.append(f"  CA      {server.ca_file}")
        lines.append(f"  state   {server.device.store.path}")
    if arguments.passphrase_file:
        lines.append(f"  The passphrase is in {arguments.passphrase_file}.")
    lines += _exports(servers[0], arguments) if not units[0].host else _tables(servers, units, arguments)
    lines.append("Ctrl-C stops it; the device keeps its state.")
    print("\n".join(lines), file=sys.stderr, flush=True)


def settings_of(https: str, cloud: str, ca_file: Path, passphrase_file: Path | None) -> dict[str, str]:
    """The variables by which one device is used."""
    settings = {
        "HEM_URL": https,
        "HEM_CA_FILE": str(ca_file),
        "HEM_CLOUD_URL": cloud,
        "HEM_CLOUD_CA_FILE": str(ca_file),
    }
    return settings | ({"HEM_PASSPHRASE_FILE": str(passphrase_file)} if passphrase_file else {})


def _exports(server: EmulatorServer, arguments: Given) -> Iterator[str]:
    yield "To use it from another terminal:"
    passphrase = Path(arguments.passphrase_file).absolute() if arguments.passphrase_file else None
    settings = settings_of(server.https, server.cloud, server.ca_file, passphrase)
    yield from (f"  {line}" for line in exported(settings, "sh"))


def _tables(servers: list[EmulatorServer], units: list[_Unit], arguments: Given) -> Iterator[str]:
    """The configuration of several devices, and how their names lead to this machine."""
    yield "To use them, a line for /etc/hosts:"
    yield f"  127.0.0.1 {' '.join(unit.host for unit in units)}"
    yield "and a configuration file (HEM_CONFIG):"
    for server, unit in zip(servers, units, strict=True):
        port = server.https.rpartition(":")[2]
        settings = {
            "name": unit.label,
            "url": f"https://{unit.host}:{port}",
            "ca_file": str(server.ca_file),
            "cloud_url": server.cloud,
            "cloud_ca_file": str(server.ca_file),
        }
        if arguments.passphrase_file:
            settings["passphrase_file"] = str(Path(arguments.passphrase_file).absolute())
        yield "  [[device]]"
        yield from (f"  {name} = {json.dumps(value)}" for name, value in settings.items())
