"""``hem phones``: pair, list and remove the phones that may open your device.

A paired phone approves logins in the vendor's application, in the place of the passphrase. A device knows
eight at most.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from hem_provider.cli.options import FILE, Whole, device_option, json_option, mobile_option, yes_option
from hem_provider.cli.shape import Given, Group, argument, exclusive, given

__all__ = ["command"]

F = TypeVar("F", bound=Callable[..., Any])

command = Group("phones", help=__doc__)


def _json(callback: F) -> F:
    return device_option()(json_option()(callback))


@command.command(
    "pair",
    help="""pair a phone: show the code that its application scans, and wait

    The code is drawn on the terminal where it fits. Who scans it first is paired, so show it to nobody else.
    What is broken off leaves no phone on the device.

    Example: hem phones pair
    """,
)
@_json
@click.option("--png", type=FILE, metavar="FILE", help="write the code as an image, too")
@click.option("--svg", type=FILE, metavar="FILE", help="the same as a drawing")
@click.option("--force", is_flag=True, help="replace a file that is there already")
@click.option(
    "--wait",
    type=Whole(1, 86_400, "number of seconds"),
    default=300,
    metavar="SECONDS",
    help="for the phone to answer (default 300)",
)
@exclusive("png", "svg")
@given
def _pair(options: Given) -> int:
    from hem_provider.cli import phones_actions

    return phones_actions.pair(options)


@command.command(
    "list",
    help="""a table of the paired phones

    Example: hem phones list
    """,
)
@mobile_option()
@_json
@given
def _list(options: Given) -> int:
    from hem_provider.cli import phones_actions

    return phones_actions.show_all(options)


@command.command(
    "remove",
    help="""take a phone away: it approves nothing any more

    Example: hem phones remove "My phone"
    """,
)
@argument("phone", metavar="PHONE", help="label or KID, as hem phones list tells them")
@_json
@yes_option()
@click.option(
    "--device-only",
    is_flag=True,
    help="the notification service is not to be told: it cannot be reached, or is no more",
)
@given
def _remove(options: Given) -> int:
    from hem_provider.cli import phones_actions

    return phones_actions.remove(options)
