"""Status, version, self-test and power (device API §17)."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

from hem_provider.emulator import climate, lifecycle
from hem_provider.emulator.audit import Event
from hem_provider.emulator.call import Call
from hem_provider.emulator.device import Device
from hem_provider.emulator.handlers import identity
from hem_provider.emulator.http import Response, answer
from hem_provider.emulator.quirks import Q

__all__ = ["CARD_SECTORS", "reboot", "selftest", "shutdown", "status", "version"]

CARD_SECTORS = 15523840


def _disk_texts(device: Device) -> list[str]:
    config = device.config
    size = config.storage_disk0size if config else CARD_SECTORS
    sizes = (size, CARD_SECTORS - size)
    return [f"{sectors}:{mode}" for sectors, mode in zip(sizes, device.boot.disks, strict=True)]


def _clock_texts(now: int) -> dict[str, Any]:
    stamp = datetime.datetime.fromtimestamp(now, datetime.UTC)
    return {"ts": stamp.strftime("%Y-%m-%dT%H:%M:%SZ"), "time": now}


def status(call: Call) -> Response:
    """GET system/status: fields appear only when they say something (Q38)."""
    device, boot, config = call.device, call.device.boot, call.device.config
    switches = device.switches
    omits = switches.on(Q.STATUS_OMITS)
    host = call.request.headers.get("host", "").rpartition(":")[0] or call.request.headers.get("host", "")
    body: dict[str, Any] = {}
    if config is None or not omits:
        body["inited"] = config is not None
    if not call.request.secure or switches.on(Q.STATUS_HTTPS) or not omits:
        body["https"] = call.request.secure and not switches.on(Q.STATUS_HTTPS)
    if config is not None and (host != config.hostname or not omits):
        body["hostname"] = config.hostname
    if config is not None and (not config.trusted_ts or not omits):
        body["tts"] = config.trusted_ts
    body["ctx"] = config.ctx if config else 0
    body["uptime"] = max(0, int(device.host_time() - boot.started))
    if boot.rtc_set:
        body.update(_clock_texts(device.now()))
    if device.is_ppa:
        body["storage"] = _disk_texts(device)
        if device.task("format"):
            body["format"] = "status0"
        elif not omits:
            body["format"] = "done"
    body["temp"] = climate.temperature(device)
    humidity = climate.humidity(device)
    if humidity is not None:
        body["humidity"] = humidity
    body["fls_state"] = boot.fls
    if boot.upgraded or not omits:
        body["fw_upgrade"] = boot.upgraded
    if boot.upgraded:
        device.change_boot(upgraded=False)
    return answer(body)


def version(call: Call) -> Response:
    """GET system/version: the SD registers only on a fresh device or for a bearer."""
    device = call.device
    factory = device.state.factory
    body: dict[str, Any] = {
        "hwv": identity.hardware(factory),
        "fwv": f"Encedo nGINE FW v{device.state.firmware}",
        "fwk": identity.public_key_of("firmware"),
        "fws": identity.firmware_signature(device.state.firmware),
        "blv": factory.firmware.bootloader,
        "blk": identity.public_key_of("boot loader"),
        "bls": identity.bootloader_signature(),
    }
    if device.is_ppa:
        body["uis"] = identity.dashboard_hash()
        if call.bearer is not None or device.config is None:
            body["sd_csd"] = factory.card_csd.hex()
            body["sd_cid"] = factory.card_cid.hex()
    return answer(body)


def selftest(call: Call) -> Response:
    """GET system/selftest: every test at once; the known-answer tests may go on in the background."""
    device, boot = call.device, call.device.boot
    now = device.now()
    body: dict[str, Any] = {}
    if boot.selftest_at:
        body["last_selftest_ts"] = boot.selftest_at
        body["last_fls_state"] = boot.last_fls
        body["last_entropytest_ts"] = boot.selftest_at
        body["last_kat_ts"] = boot.selftest_at
    seconds = device.state.knobs.latency.get("kat", 0.0)
    if device.task("kat") or (seconds and not boot.selftest_at):
        body["kat_busy"] = True
    total, dead = len(device.repository.slots()), device.repository.dead()
    full = device.has_condition("repository-full")
    body.update(
        fls_state=boot.fls,
        selftest_ts=now,
        repo_stats={
            "total": total,
            "deleted": dead,
            "invalid": 0,
            "fragmented": min(dead, 99),
            "freeslots": 0 if full else max(0, device.switches.number(Q.CAPACITY) - total - dead),
        },
    )
    if device.is_ppa:
        body["se_state"] = 0
    if not device.task("kat"):  # those that run go on, however often they are asked after
        lifecycle.start_task(device, "kat", seconds)
    device.change_boot(selftest_at=now, last_fls=boot.fls)
    return answer(body)


def reboot(call: Call) -> Response:
    """GET system/reboot: answers, closes, restarts."""
    call.device.log(Event.REBOOT, actor=call.actor)
    lifecycle.reboot(call.device)
    return replace(Response(), close=True)


def shutdown(call: Call) -> Response:
    """GET system/shutdown: answers, closes, stops until the next power cycle."""
    call.device.log(Event.SHUTDOWN, actor=call.actor)
    lifecycle.power_off(call.device)
    return replace(Response(), close=True)
