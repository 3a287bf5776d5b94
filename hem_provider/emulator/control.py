"""Steering an emulated device: one table of commands for the command line, the control socket and tests.

On the socket a command is one line of JSON, ``{"command": "fault", "name": "reset-after", "count": 1}``,
answered by one line, ``{"ok": …}`` or ``{"error": "…"}``.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from hem_provider.emulator import climate, faults, knobs, lifecycle, logdamage
from hem_provider.emulator.cloud.phone import PhoneError, Settings, settings_of, store_settings
from hem_provider.emulator.inprocess import EmulatedDevice
from hem_provider.emulator.quirks import QUIRKS

__all__ = ["COMMANDS", "ControlError", "ControlSocket", "run"]

_ACTIONS: Final = ("OK", "L", "W", "R", "B", "U", "???")
_MAX_LINE: Final = 1 << 16


class ControlError(ValueError):
    """A command is unknown or its parameters are wrong."""


def _quirk(device: EmulatedDevice, parameters: Mapping[str, Any]) -> object:
    knobs.set_quirk(device.model, str(parameters["name"]), str(parameters["value"]))
    return _quirks(device, {})


def _quirks(device: EmulatedDevice, _parameters: Mapping[str, Any]) -> object:
    switches = device.model.switches
    return {name: switches.value(row.name) for name, row in QUIRKS.items()}


def _fault(device: EmulatedDevice, parameters: Mapping[str, Any]) -> object:
    faults.add_fault(device.model, parameters)
    return _faults(device, {})


def _faults(device: EmulatedDevice, _parameters: Mapping[str, Any]) -> object:
    return [asdict(fault) for fault in device.model.state.knobs.faults]


def _clear(device: EmulatedDevice, parameters: Mapping[str, Any]) -> object:
    faults.clear_faults(device.model, parameters.get("name"))
    return _faults(device, {})


def _latency(device: EmulatedDevice, parameters: Mapping[str, Any]) -> object:
    knobs.set_latency(device.model, str(parameters["profile"]))
    return device.model.state.knobs.latency


def _climate(device: EmulatedDevice, parameters: Mapping[str, Any]) -> object:
    return climate.set_climate(device.model, parameters)


def _log(device: EmulatedDevice, parameters: Mapping[str, Any]) -> object:
    return logdamage.damage(device.model, parameters)


def _phone(device: EmulatedDevice, parameters: Mapping[str, Any]) -> object:
    records = device.cloud_service.records
    known = asdict(settings_of(records))
    known.update({name: value for name, value in parameters.items() if name in known and value is not None})
    store_settings(records, Settings(**known))
    paired = {pid: body["eid"] for pid, body in records.all("pairing").items()}
    return {**known, "paired": paired}


def _pair(device: EmulatedDevice, parameters: Mapping[str, Any]) -> object:
    return {"pid": device.cloud_service.phone().pair(_link(str(parameters["link"])))}


def _refuse(device: EmulatedDevice, parameters: Mapping[str, Any]) -> object:
    device.cloud_service.phone().refuse_pairing(_link(str(parameters["link"])))
    return {}


def _link(text: str) -> str:
    """The link itself, or the one in the JSON of a QR code."""
    if text.lstrip().startswith("{"):
        with contextlib.suppress(ValueError, KeyError):
            return str(json.loads(text)["link"])
    return text


def _backend(device: EmulatedDevice, parameters: Mapping[str, Any]) -> object:
    model = device.model
    chosen = model.state.knobs
    action = parameters.get("action")
    if action is not None and action not in _ACTIONS:
        raise ControlError(f"a backend orders one of {', '.join(_ACTIONS)}, not {action!r}")
    if (instance := parameters.get("instance")) is not None:
        chosen = replace(chosen, orders=_ordered(chosen.orders, instance, action))
    elif action is not None:
        chosen = replace(chosen, checkin_action=action)
    chosen = replace(
        chosen,
        checkin_offset=int(parameters.get("offset", chosen.checkin_offset)),
        checkin_newcrt=bool(parameters.get("newcrt", chosen.checkin_newcrt)),
        checkin_newfw=bool(parameters.get("newfw", chosen.checkin_newfw)),
        checkin_newui=bool(parameters.get("newui", chosen.checkin_newui)),
    )
    model.state = replace(model.state, knobs=chosen)
    return {
        "action": chosen.checkin_action,
        "offset": chosen.checkin_offset,
        "newcrt": chosen.checkin_newcrt,
        "newfw": chosen.checkin_newfw,
        "newui": chosen.checkin_newui,
        "orders": chosen.orders,
    }


def _ordered(orders: Mapping[str, str], instance: object, action: str | None) -> dict[str, str]:
    """The orders with this one for the device of that instance id; ``OK`` takes its order back."""
    try:
        name = str(uuid.UUID(str(instance)))
    except ValueError:
        raise ControlError(
            f"instance is the UUID that the device's settings show, not {instance!r}"
        ) from None
    if action is None:
        raise ControlError("an order for one instance needs an action")
    others = {key: value for key, value in orders.items() if key != name}
    return others if action == "OK" else {**others, name: action}


def _reset(device: EmulatedDevice, parameters: Mapping[str, Any]) -> object:
    how = parameters.get("how", "factory")
    if how not in _RESETS:
        raise ControlError(f"a reset is one of {', '.join(_RESETS)}, not {how!r}")
    _RESETS[how](device)
    return {"reset": how}


_RESETS: Final[dict[str, Callable[[EmulatedDevice], None]]] = {
    "reboot": lambda device: lifecycle.reboot(device.model),
    "power-cycle": lambda device: lifecycle.power_cycle(device.model),
    "wipe": lambda device: lifecycle.wipe(device.model),
    "factory": lambda device: lifecycle.renew(device.model),
}


def _state(device: EmulatedDevice, _parameters: Mapping[str, Any]) -> object:
    state = device.model.state
    return {
        "model": state.factory.model,
        "initialised": state.config is not None,
        "powered": state.powered and not state.bricked,
        "clock_set": state.boot.rtc_set,
        "fls": state.boot.fls,
        "temperature": climate.temperature(device.model),
        "humidity": climate.humidity(device.model),
        "keys": len(device.model.repository.slots()),
        "boots": state.boot.number,
        "instance": state.config.instance_id if state.config else None,
    }


COMMANDS: Final[Mapping[str, Callable[[EmulatedDevice, Mapping[str, Any]], object]]] = {
    "quirk": _quirk,
    "quirks": _quirks,
    "fault": _fault,
    "faults": _faults,
    "clear": _clear,
    "latency": _latency,
    "climate": _climate,
    "log": _log,
    "phone": _phone,
    "pair": _pair,
    "refuse": _refuse,
    "backend": _backend,
    "reset": _reset,
    "state": _state,
}


def run(device: EmulatedDevice, command: str, parameters: Mapping[str, Any] | None = None) -> Any:
    """Run one command as one transaction; ``ControlError``, or ``PhoneError`` from a phone, says what is
    wrong."""
    function = COMMANDS.get(command)
    if function is None:
        raise ControlError(f"no command {command!r}; there are {', '.join(COMMANDS)}")
    try:
        with device.model.transaction():
            return function(device, parameters or {})
    except KeyError as error:
        raise ControlError(f"{command} needs {error}") from None
    except (TypeError, ValueError) as error:
        raise ControlError(str(error)) from None


class ControlSocket:
    """The commands on a Unix socket that only its owner may use."""

    def __init__(self, device: EmulatedDevice, path: Path) -> None:
        self._device = device
        self._path = path
        with contextlib.suppress(FileNotFoundError):
            if path.is_socket():
                path.unlink()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            self._socket.bind(str(path))
        finally:
            os.umask(mask)
        self._socket.listen(8)
        self._thread = threading.Thread(target=self._accept, name="control", daemon=True)

    def start(self) -> None:
        """Begin to take commands, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Close and remove the socket."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._path.unlink(missing_ok=True)
        if self._thread.is_alive():
            self._thread.join(2)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rwb") as stream:
            while line := stream.readline(_MAX_LINE):
                stream.write(json.dumps(self._answer(line)).encode() + b"\n")
                stream.flush()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                return {"error": "a command is a JSON object"}
            command = str(request.pop("command", ""))
            return {"ok": run(self._device, command, request)}
        except (ControlError, PhoneError, ValueError, RecursionError) as error:
            return {"error": str(error)}
