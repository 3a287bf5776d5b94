"""``hem log``: read the device's audit log, and find out whether somebody has altered it.

Example: hem log verify
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from hem_provider.cli.options import device_option, json_option, mobile_option
from hem_provider.cli.shape import Given, Group, argument, given

__all__ = ["command"]

F = TypeVar("F", bound=Callable[..., Any])

command = Group("log", help=__doc__)


def _to_the_device(callback: F) -> F:
    return device_option()(mobile_option()(json_option()(callback)))


_key = click.option(
    "--key", metavar="HEX", help="the log key as you have kept it, instead of what the device says it is"
)


@command.command("list", help="the log files, one for each start of the device\n\nExample: hem log list")
@_to_the_device
@given
def _list(options: Given) -> int:
    from hem_provider.cli import log_actions

    return log_actions.show_all(options)


@command.command("show", help="a log file as a person reads it\n\nExample: hem log show")
@argument("file", metavar="[ID]", required=False, help="of 'hem log list'; default: the newest closed one")
@_key
@_to_the_device
@given
def _show(options: Given) -> int:
    from hem_provider.cli import log_actions

    return log_actions.show(options)


@command.command("verify", help="whether files are whole and unaltered\n\nExample: hem log verify")
@argument("files", metavar="[ID]...", nargs=-1, help="of 'hem log list'; default: all that are closed")
@_key
@_to_the_device
@given
def _verify(options: Given) -> int:
    from hem_provider.cli import log_actions

    return log_actions.verify(options)
