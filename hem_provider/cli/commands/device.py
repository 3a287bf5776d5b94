"""``hem device``: test, restart, upgrade, set up and erase the device itself.

Example: hem device selftest
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from hem_provider.cli.options import FILE, Whole, device_option, json_option, mobile_option, yes_option
from hem_provider.cli.shape import Given, Group, argument, given

__all__ = ["command"]

F = TypeVar("F", bound=Callable[..., Any])

command = Group("device", help=__doc__)


def _to_the_device(callback: F) -> F:
    return device_option()(mobile_option()(json_option()(callback)))


def _names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from hem_provider.device.ownsettings import ROWS

    names = {each: row.meaning for each, row in ROWS.items()}
    return [CompletionItem(each, help=text) for each, text in names.items() if each.startswith(incomplete)]


def _changes(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from hem_provider.device.ownsettings import ROWS

    names = {f"{each}=": row.meaning for each, row in ROWS.items() if row.kind is not None}
    return [CompletionItem(each, help=text) for each, text in names.items() if each.startswith(incomplete)]


_DISKS = {"0": 0, "plain": 0, "1": 1, "encrypted": 1}
_disk = argument("disk", metavar="DISK", type=click.Choice(tuple(_DISKS)), help="0 or plain, 1 or encrypted")
_wait = click.option(
    "--wait",
    type=Whole(1, 3600, "number of seconds"),
    default=120,
    metavar="SECONDS",
    help="longest time in which it has to be back (default: 120)",
)


@command.command(
    "selftest",
    help="run all its tests, and tell each result in words\n\nExample: hem device selftest",
)
@_to_the_device
@given
def _selftest(options: Given) -> int:
    from hem_provider.cli import device_actions

    return device_actions.selftest(options)


@command.command("reboot", help="restart it and wait until it is back\n\nExample: hem device reboot")
@_wait
@_to_the_device
@given
def _reboot(options: Given) -> int:
    from hem_provider.cli import device_actions

    return device_actions.reboot(options)


@command.command(
    "shutdown", help="switch it off until it is plugged in anew\n\nExample: hem device shutdown --yes"
)
@yes_option()
@_to_the_device
@given
def _shutdown(options: Given) -> int:
    from hem_provider.cli import device_actions

    return device_actions.shutdown(options)


@command.command(
    "upgrade",
    help="install signed firmware, or a dashboard, from a file\n\nExample: hem device upgrade firmware.bin",
)
@argument("file", metavar="FILE", type=FILE, help="the image, as the vendor signed it")
@click.option("--dashboard", is_flag=True, help="the file is a dashboard (webroot.tar), not firmware")
@_wait
@yes_option()
@_to_the_device
@given
def _upgrade(options: Given) -> int:
    from hem_provider.cli import device_upgrade

    return device_upgrade.upgrade(options)


@command.command(
    "wipe",
    help="destroy every key and setting, where the configuration allows it\n\nExample: hem device wipe",
)
@yes_option("do not ask for the device's name; allow_wipe is needed all the same")
@_to_the_device
@given
def _wipe(options: Given) -> int:
    from hem_provider.cli import device_wipe

    return device_wipe.wipe(options)


_disks = Group("disks", help="the disks that it shows on USB\n\nExample: hem device disks list")
command.add_command(_disks)


@_disks.command("list", help="both disks: size, and how they are shown\n\nExample: hem device disks list")
@device_option()
@json_option()
@given
def _list(options: Given) -> int:
    from hem_provider.cli import device_disks

    return device_disks.show_all(options)


@_disks.command("unlock", help="show a disk on USB\n\nExample: hem device disks unlock encrypted --writable")
@_disk
@click.option("--writable", is_flag=True, help="for writing, too; otherwise it can only be read")
@_to_the_device
@given
def _unlock(options: Given) -> int:
    from hem_provider.cli import device_disks

    return device_disks.unlock(options, _DISKS[options.disk])


@_disks.command("lock", help="take a disk away from USB\n\nExample: hem device disks lock encrypted")
@_disk
@_to_the_device
@given
def _lock(options: Given) -> int:
    from hem_provider.cli import device_disks

    return device_disks.lock(options, _DISKS[options.disk])


_config = Group(
    "config",
    help="the device's own settings\n\nExample: hem device config set trusted_backend=off",
)
command.add_command(_config)


@_config.command("show", help="each setting with its value and meaning\n\nExample: hem device config show")
@argument("names", nargs=-1, metavar="[NAME]...", shell_complete=_names, help="only these settings")
@_to_the_device
@given
def _show(options: Given) -> int:
    from hem_provider.cli import device_settings

    return device_settings.show(options)


@_config.command(
    "set",
    help="change settings, after telling what that ends\n\nExample: hem device config set user=Ada hsts=on",
)
@argument(
    "settings",
    nargs=-1,
    required=True,
    metavar="NAME=VALUE...",
    shell_complete=_changes,
    help="'config show' tells the names",
)
@yes_option()
@_to_the_device
@given
def _set(options: Given) -> int:
    from hem_provider.cli import device_settings

    return device_settings.change(options)
