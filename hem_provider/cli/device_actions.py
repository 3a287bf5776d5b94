"""What ``hem device selftest``, ``reboot`` and ``shutdown`` do."""

from __future__ import annotations

from typing import Any

from hem_provider.cli.confirming import confirm
from hem_provider.cli.fresh import fresh_or_logged_in
from hem_provider.cli.login import logged_in
from hem_provider.cli.meter import Meter
from hem_provider.cli.output import print_json
from hem_provider.cli.saying import say
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import DONE, FAILED
from hem_provider.cli.ticks import mark
from hem_provider.config import load_config
from hem_provider.device.hem import Hem, Status
from hem_provider.device.selftesting import findings
from hem_provider.waiting import CLOCK

__all__ = ["reboot", "selftest", "shutdown", "told_back"]

_CONFIG = "system:config"
#: Longest time that known-answer tests go on in the background, and between two looks, in seconds.
_LONGEST_TESTS, _LOOK_EVERY = 240.0, 5.0


def selftest(options: Given) -> int:
    """``hem device selftest``: its exit status, ``FAILED`` when a test did."""
    with fresh_or_logged_in(options.device, mobile=options.mobile, scope=_CONFIG) as hem:
        result = _tested(hem)
    found = findings(result)
    well = all(each.well for each in found)
    if options.json:
        tests = [{"test": each.test, "well": each.well, "words": each.words} for each in found]
        print_json({"device": hem.config.name, "well": well, "tests": tests})
    else:
        from hem_provider.cli.drawing import draw

        rows = [(mark(each.well), each.test, each.words) for each in found]
        draw(("", "test", "result"), rows)
        if not well:
            say(f"{hem.config.name}: not all is well; hem doctor tells what to do.")
    return DONE if well else FAILED


def _tested(hem: Hem) -> Any:
    """The result, once tests that go on in the background are through, or after all have had their time."""
    with Meter("testing") as meter:
        began = CLOCK.now()
        for _ in CLOCK.looks(_LONGEST_TESTS, _LOOK_EVERY):
            meter.waited(CLOCK.now() - began)
            result = hem.admin.selftest()
            if not result.busy:
                break
    return result


def reboot(options: Given) -> int:
    """``hem device reboot``: its exit status."""
    with fresh_or_logged_in(options.device, mobile=options.mobile, scope=_CONFIG) as hem:
        with Meter("restarting") as meter:
            began = CLOCK.now()
            status = hem.admin.reboot(wait=options.wait, looked=meter.waited)
            seconds = CLOCK.now() - began
    told_back(options, hem, status, seconds)
    return DONE


def told_back(options: Given, hem: Hem, status: Status | None, seconds: float) -> None:
    """Tell that it is back, and what a restart has ended."""
    clock_set = status is not None and status.time is not None
    if options.json:
        print_json(
            {
                "device": hem.config.name,
                "seconds": round(seconds, 1),
                "clock_set": clock_set,
                "faults": list(status.faults) if status is not None else [],
            }
        )
        return
    print(f"{hem.config.name} is back after {seconds:.0f} s; all logins have ended.")
    if not clock_set:
        print("Its clock is not set: the next login checks in, or hem checkin does.")
    for each in status.faults if status is not None else ():
        print(f"It reports a fault: {each}.")


def shutdown(options: Given) -> int:
    """``hem device shutdown``: its exit status."""
    name = load_config().device(options.device).name
    confirm(
        f"{name} will be off until somebody unplugs it and plugs it in again. Shut it down?", yes=options.yes
    )
    with logged_in(options.device, mobile=options.mobile, scope=_CONFIG) as hem:
        hem.admin.shutdown()
    if options.json:
        print_json({"device": hem.config.name, "off": True})
    else:
        print(f"{hem.config.name} is off. Unplug it and plug it in again to use it.")
    return DONE
