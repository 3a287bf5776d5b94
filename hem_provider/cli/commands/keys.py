"""``hem keys``: list, show and hand out the public half of a device's keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from hem_provider.cli.candidates import key_labels
from hem_provider.cli.options import FILE, device_option, json_option, mobile_option
from hem_provider.cli.shape import Given, Group, argument, given

__all__ = ["command"]

F = TypeVar("F", bound=Callable[..., Any])

command = Group("keys", help=__doc__)


def _to_the_device(callback: F) -> F:
    return device_option()(mobile_option()(callback))


_key = argument("key", metavar="KEY", shell_complete=key_labels, help="label or KID")


@command.command("list", help="a table of all keys: label, type, use, who made them, age, KID")
@_to_the_device
@json_option()
@given
def _list(options: Given) -> int:
    from hem_provider.cli import keys_actions

    return keys_actions.show_all(options)


@command.command("show", help="all that is known of a key, with its public half")
@_key
@_to_the_device
@json_option()
@given
def _show(options: Given) -> int:
    from hem_provider.cli import keys_actions

    return keys_actions.show(options)


@command.command("public", help="the public half of a key, for other programs")
@_key
@_to_the_device
@click.option(
    "--format",
    type=click.Choice(("pem", "der", "ssh", "jwk", "raw")),
    default="pem",
    help="default: pem; raw is a compressed point, or the bytes of the standard",
)
@click.option("--output", type=FILE, metavar="FILE", help="write it there, whole or not at all")
@click.option("--force", is_flag=True, help="replace a file that is there already")
@given
def _public(options: Given) -> int:
    from hem_provider.cli import keys_actions

    return keys_actions.public(options)
