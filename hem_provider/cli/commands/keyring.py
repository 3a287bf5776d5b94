"""``hem keyring``: passwords that open only while the HEM is there.

Makes, shows, fills, moves and checks the vault behind the keyring backend.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from hem_provider.cli.options import FILE, FILE_TEXT, device_option, json_option
from hem_provider.cli.shape import Given, Group, argument, exclusive, given

__all__ = ["command"]

command = Group("keyring", help=__doc__)

_vault = click.option(
    "--vault", type=FILE, metavar="FILE", help="default: $KEYRING_PROPERTY_VAULT, else the user's own"
)
_device = device_option("configured device, if not the one the vault names", envvar="KEYRING_PROPERTY_DEVICE")
_key = click.option("--key", metavar="KID", help="this AES256 key instead of a new one")
_label = click.option(
    "--label", default="keyring", metavar="LABEL", help="label of the new key (default: keyring)"
)


def _action(name: str, text: str, example: str) -> Callable[[Callable[..., Any]], click.Command]:
    """An action of this name, with what all have."""
    return lambda callback: command.command(name, help=text, example=example)(_vault(_device(callback)))


@_action("init", "make a key on the device, and a vault that it opens", "hem keyring init --hide-names")
@_key
@_label
@click.option("--hide-names", is_flag=True, help="hide service and user names as well")
@click.option("--names-key", metavar="KID", help="hide them with this SHA2-256 key, not a new one")
@exclusive("key", "label")
@given
def _init(options: Given) -> int:
    return _run("init", options)


@_action("list", "print the names of all entries, never a password", "hem keyring list")
@json_option("one JSON array [service, user] a line")
@given
def _list(options: Given) -> int:
    return _run("list", options)


@_action(
    "import",
    "bring in entries of another backend, which keeps them",
    "hem keyring import keyrings.alt.file.PlaintextKeyring",
)
@argument(
    "backend",
    required=False,
    metavar="[BACKEND]",
    help="as 'keyring --list-backends' shows it: package.module.Class",
)
@argument("names", nargs=-1, metavar="[SERVICE USER]...", help="only these entries")
@click.option(
    "--names",
    "file",
    type=FILE_TEXT,
    metavar="FILE",
    help="only these: SERVICE<tab>USER a line; - is standard input",
)
@click.option("--from-vault", type=FILE, metavar="FILE", help="another vault instead of a backend")
@click.option("--overwrite", is_flag=True, help="replace entries that are there already")
@given
def _import(options: Given) -> int:
    return _run("import", options)


@_action(
    "rewrap",
    "move the vault to another key; passwords are not touched",
    "hem keyring rewrap --delete-old-key",
)
@_key
@_label
@click.option("--delete-old-key", is_flag=True, help="destroy the former key: older copies never open again")
@exclusive("key", "label")
@given
def _rewrap(options: Given) -> int:
    return _run("rewrap", options)


@_action("check", "open every entry, and tell which do not", "hem keyring check")
@given
def _check(options: Given) -> int:
    return _run("check", options)


def _run(action: str, options: Given) -> int:
    from hem_provider.cli import keyring_actions

    return keyring_actions.ACTIONS[action](options)
