"""Upload, verification and installation of firmware and dashboard (device API §16, PPA only).

Real images are signed by the vendor. Here an image is good when it starts with the line
``hem-provider emulator image <version>``.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from hem_provider.emulator import lifecycle
from hem_provider.emulator.call import Call
from hem_provider.emulator.device import Device
from hem_provider.emulator.http import Refusal, Response
from hem_provider.emulator.quirks import Q

__all__ = [
    "UPLOAD_LIMIT",
    "bare",
    "check_fw",
    "check_ui",
    "install_fw",
    "install_ui",
    "upload_fw",
    "upload_ui",
    "usb_mode",
]

UPLOAD_LIMIT: Final = 16 << 20
_FIRMWARE_LIMIT: Final = 3 << 20
_IMAGE: Final = re.compile(rb"hem-provider emulator image ([0-9.]{1,16})\r?\n")
_FILENAME: Final = re.compile(r'filename="?([^";]+)"?')


def _stage(call: Call, part: str, endings: tuple[str, ...], limit: int) -> Response:
    match = _FILENAME.search(call.request.headers.get("content-disposition", ""))
    if match is None:
        raise Refusal(413, close=True)
    if not match[1].endswith(endings) or len(call.request.body) > limit:
        raise ConnectionAbortedError("the emulated device closed the connection without an answer")
    if not call.request.complete:
        raise Refusal(406)
    image = _IMAGE.match(call.request.body)
    staged = f"uploaded {image[1].decode()}" if image else "uploaded"
    _set(call.device, part, staged)
    return Response()


def _set(device: Device, part: str, value: str | None) -> None:
    staged = {name: text for name, text in device.state.staged.items() if name != part}
    if value is not None:
        staged[part] = value
    device.state = replace(device.state, staged=staged)


def upload_fw(call: Call) -> Response:
    """POST upgrade/upload_fw: 413 without file name; dropped connection for a wrong ending or over 3 MiB."""
    return _stage(call, "fw", (".bin", ".hex"), _FIRMWARE_LIMIT)


def upload_ui(call: Call) -> Response:
    """POST upgrade/upload_ui."""
    return _stage(call, "ui", (".tar",), UPLOAD_LIMIT)


def _check(call: Call, part: str, nothing: int) -> Response:
    """201 starts the verification, 202 while it runs, then 200 or 406."""
    device = call.device
    state, _, version = device.state.staged.get(part, "").partition(" ")
    if not state:
        raise Refusal(nothing)
    if state == "uploaded":
        lifecycle.start_task(device, f"check {part}", device.state.knobs.latency.get("image", 0.0))
        _set(device, part, f"checking {version}".strip())
        return Response(201)
    if device.task(f"check {part}"):
        return Response(202)
    if not version:
        _set(device, part, None)
        raise Refusal(406)
    _set(device, part, f"verified {version}")
    return Response()


def check_fw(call: Call) -> Response:
    """GET upgrade/check_fw: 404 when nothing is staged."""
    return _check(call, "fw", 404)


def check_ui(call: Call) -> Response:
    """GET upgrade/check_ui: 409 when nothing is staged."""
    return _check(call, "ui", 409)


def _take(device: Device, part: str) -> str:
    state, _, version = device.state.staged.get(part, "").partition(" ")
    if state != "verified":
        raise Refusal(406)
    _set(device, part, None)
    return version


def install_fw(call: Call) -> Response:
    """GET upgrade/install_fw: answers, then restarts into the new firmware."""
    version = _take(call.device, "fw")
    call.device.state = replace(call.device.state, firmware=version, upgraded=True)
    lifecycle.reboot(call.device)
    return Response(close=True)


def install_ui(call: Call) -> Response:
    """GET upgrade/install_ui: no restart."""
    _take(call.device, "ui")
    return Response()


def bare(call: Call) -> Response:
    """GET upgrade: exists and wants a token; what it answers nobody has told (U28)."""
    return Response(call.device.switches.number(Q.BARE_UPGRADE_STATUS))


def usb_mode(call: Call) -> Response:
    """GET upgrade/usbmode: answers, then is a mass-storage device until the next power cycle."""
    lifecycle.power_off(call.device)
    return Response(close=True)
