"""What ``hem checkin`` does."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from hem_provider.cli.output import print_json, write
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import DONE, FAILED
from hem_provider.config import DeviceConfig, device_from_url, load_config
from hem_provider.device import checkin
from hem_provider.device.hem import CheckInResult, Hem
from hem_provider.errors import HemClockError, HemConfigError
from hem_provider.files import read_file

__all__ = ["check_in", "told"]

#: What the cloud ordered → in words, and whether the device is of use after it. It does as ordered only
#: where it trusts the backend.
_ORDERS = {
    "OK": ("", True),
    "L": ("the cloud has LOCKED the device: the passphrase opens it no more, the master secret does", False),
    "W": ("the cloud has WIPED the device: it is factory-fresh", False),
    "B": ("the cloud has STOPPED the device: unplug it and ask its owner", False),
    "R": ("the cloud wants a report of the device", True),
    "U": ("the cloud wants the firmware of the device to be upgraded", True),
}
_UNKNOWN = ("the cloud has ordered what the device does not know", True)
#: A device of which nothing is asked, for whoever only carries a message.
_NOBODY = "https://my.ence.do"


def check_in(options: Given) -> int:
    """``hem checkin``: its exit status."""
    if options.relay is not None:
        data = _read(options.relay, "challenge")
        with Hem(_with_cloud(options.device)) as hem:
            write(checkin.carry(hem.rest, data), None, force=False)
        return DONE
    with Hem(load_config().device(options.device)) as hem:
        if options.challenge:
            write(checkin.begin(hem.session), None, force=False)
            return DONE
        if options.answer is None:
            before = _drift(hem)
            result = hem.check_in()
        else:
            data = _read(options.answer, "answer")
            before = _drift(hem)
            result = _answered(hem, data)
        carried = options.answer is not None
        return _end(hem.config.name, before, result, carried=carried, as_json=options.json)


def _answered(hem: Hem, data: bytes) -> CheckInResult:
    try:
        return checkin.finish(hem.session, data)
    except HemClockError as error:
        raise HemClockError(
            f"{error}: it is to another challenge, or over a minute old; begin again: hem checkin --challenge"
        ) from None


def _drift(hem: Hem) -> int | None:
    """Seconds that the device's clock is ahead; ``None`` while it has no time."""
    now = hem.status().time
    return None if now is None else now - round(time.time())


def _end(name: str, before: int | None, result: CheckInResult, *, carried: bool, as_json: bool) -> int:
    well = _ORDERS.get(result.action, _UNKNOWN)[1]
    if as_json:
        print_json(
            {
                "device": name,
                "action": result.action,
                "was_ahead": before,
                "certificate_offered": result.new_certificate is not None,
                "firmware_offered": result.firmware_offered,
                "dashboard_offered": result.dashboard_offered,
            }
        )
    else:
        print(f"{name}: checked in; its clock is set{_was(before)}.")
        for line in told(result, carried=carried):
            print(line)
    return DONE if well else FAILED


def _was(before: int | None) -> str:
    if before is None:
        return ", it had no time"
    if abs(before) <= 1:
        return ", it was right"
    return f", it was {abs(before)} s {'ahead' if before > 0 else 'behind'}"


def told(result: CheckInResult, *, carried: bool = False) -> Iterator[str]:
    """What comes with a check-in, a sentence each. ``carried``: its answer is in a file."""
    order = _ORDERS.get(result.action, _UNKNOWN)[0]
    if order:
        yield f"{order[:1].upper()}{order[1:]}."
    if result.new_certificate is not None:
        how = "install ANSWER" if carried else "renew"
        yield f"The cloud offers a new certificate: hem certificate {how}"
    if result.firmware_offered:
        yield "The cloud offers newer firmware: get it from the vendor, then hem device upgrade FILE"
    if result.dashboard_offered:
        yield "The cloud offers a newer dashboard."


def _with_cloud(name: str | None) -> DeviceConfig:
    """Whose cloud is meant; a computer that only carries a message needs no device."""
    config = load_config()
    if name is not None or len(config.devices) == 1:
        return config.device(name)
    return device_from_url(_NOBODY)


def _read(place: str, what: str) -> bytes:
    if place == "-":
        return sys.stdin.buffer.read(checkin.LARGEST + 1)
    try:
        return read_file(Path(place), f"the {what}", limit=checkin.LARGEST, trusted=False)
    except OSError as error:
        raise HemConfigError(f"{place}: cannot read the {what}: {error.strerror}") from None
