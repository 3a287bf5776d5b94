"""What ``hem device config`` does with the device's own settings."""

from __future__ import annotations

from typing import Any

from hem_provider.cli.confirming import confirm, confirm_by_name
from hem_provider.cli.login import logged_in
from hem_provider.cli.meter import Meter
from hem_provider.cli.output import print_json
from hem_provider.cli.saying import say
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import DONE, UsageFault
from hem_provider.config.login_source import can_ask
from hem_provider.device.hem import Hem
from hem_provider.device.ownsettings import ROWS, Row, named_row, parse, unmet, words
from hem_provider.errors import HemConfigError, HemOperationFailed
from hem_provider.waiting import CLOCK

__all__ = ["change", "show"]

_SCOPE = "system:config"
#: Longest time that storage is formatted, and between two looks, in seconds.
_FORMATS, _LOOK_EVERY = 600.0, 2.0


def show(options: Given) -> int:
    """``hem device config show``: its exit status."""
    rows = [named_row(name) for name in options.names] or list(ROWS.values())
    with logged_in(options.device, mobile=options.mobile, scope=_SCOPE) as hem:
        present = hem.admin.configuration()
    told = [(row, getattr(present, row.name)) for row in rows]
    if options.json:
        settings = [_document(row, value) for row, value in told]
        print_json({"device": hem.config.name, "settings": settings})
        return DONE
    if options.names:
        for row, value in told:
            print(f"{row.name}: {words(row, value)}")
            print(f"  {row.meaning}")
            print(f"  a change: {row.change}")
        return DONE
    from hem_provider.cli.drawing import draw

    told = [each for each in told if each[1] is not None]
    draw(
        ("setting", "value", "meaning"),
        [(row.name, words(row, value), row.meaning) for row, value in told],
        spare=("meaning",),
    )
    return DONE


def _document(row: Row, value: object) -> dict[str, Any]:
    return {
        "name": row.name,
        "value": value,
        "words": words(row, value),
        "meaning": row.meaning,
        "settable": row.kind is not None,
        "change": row.change,
    }


def change(options: Given) -> int:
    """``hem device config set``: its exit status."""
    wanted = _wanted(options.settings)
    if not options.yes and not can_ask():
        raise UsageFault("there is no terminal to ask on whether the settings are to be changed; give --yes")
    with logged_in(options.device, mobile=options.mobile, scope=_SCOPE) as hem:
        present = hem.admin.configuration()
        name = hem.config.name
        absent = [each for each in wanted if getattr(present, each) is None]
        if absent:
            raise HemOperationFailed(f"{name} has no setting {absent[0]}: only USB devices do")
        before = {each: getattr(present, each) for each in wanted}
        new = {each: wanted[each] for each in unmet(present, wanted)}
        if new:
            _tell(before, new)
            _ask(name, new, yes=options.yes)
            hem.admin.configure(**new)
            _verify(hem, new)
    rows = [
        {"name": each, "before": before[each], "after": wanted[each], "changed": each in new}
        for each in wanted
    ]
    if options.json:
        print_json({"device": name, "settings": rows})
        return DONE
    for each in rows:
        row = ROWS[str(each["name"])]
        verb = "is now" if each["changed"] else "was already"
        print(f"{name}: {row.name} {verb} {words(row, each['after'])}.")
    return DONE


def _wanted(typed: tuple[str, ...]) -> dict[str, object]:
    """Setting → value of ``NAME=VALUE`` words, all held against what is accepted before anything is done."""
    wanted: dict[str, object] = {}
    for each in typed:
        name, sign, text = each.partition("=")
        if not sign:
            raise UsageFault(f"{each!r}: write NAME=VALUE, as in user=Ada")
        row = named_row(name)
        if row.name in wanted:
            raise UsageFault(f"{row.name} is given twice")
        try:
            wanted[row.name] = parse(row, text)
        except HemConfigError as error:
            raise UsageFault(str(error)) from None
    return wanted


def _tell(before: dict[str, object], new: dict[str, object]) -> None:
    for name, value in new.items():
        row = ROWS[name]
        say(f"{name}: {words(row, before[name])} -> {words(row, value)}")
        say(f"  {row.change}")


def _ask(name: str, new: dict[str, object], *, yes: bool) -> None:
    if any(ROWS[each].formats for each in new):
        confirm_by_name("Disk 0 is formatted, and what is on it is lost.", name, yes=yes)
    else:
        confirm(f"Change {'this' if len(new) == 1 else 'these'} on {name}?", yes=yes)


def _verify(hem: Hem, new: dict[str, object]) -> None:
    """Read back what the device has now. ``HemOperationFailed`` names what is not as it was to be."""
    if any(ROWS[each].formats for each in new):
        _await_format(hem)
    present = hem.admin.configuration()
    missed = unmet(present, new)
    if missed:
        made = [each for each in new if each not in missed]
        told = ", ".join(f"{each} is {words(ROWS[each], getattr(present, each))}" for each in missed)
        raise HemOperationFailed(
            f"{hem.config.name}: the device said yes, but {told}"
            + (f"; changed: {', '.join(made)}" if made else "; nothing was changed")
        )


def _await_format(hem: Hem) -> None:
    with Meter("formatting") as meter:
        for left in CLOCK.looks(_FORMATS, _LOOK_EVERY):
            meter.waited(_FORMATS - left)
            if hem.status().format in (None, "done"):
                return
    say(f"{hem.config.name} formats on: hem device disks list tells.")
