"""``hem passphrase``: change the passphrase that opens your device.

The present one is asked for first, or comes from where it is configured; then the new one, twice. Keys
stay as they are. A new one that is easily guessed is told, and taken only if you insist. Where there is
no terminal, the new one is the only line of a file.

Who has forgotten the present one needs the master secret: the 24 words, or the administrator's passphrase.
A phone cannot stand for either.

Example: hem passphrase
"""

from __future__ import annotations

import click

from hem_provider.cli.options import FILE, device_option, json_option
from hem_provider.cli.shape import Command, Given, exclusive, given

__all__ = ["command"]


@click.command("passphrase", cls=Command, help=__doc__)
@device_option()
@click.option("--master", is_flag=True, help="the present one is forgotten: ask for the master secret")
@click.option("--master-file", type=FILE, metavar="FILE", help="the master secret is the line in this file")
@click.option("--new-file", type=FILE, metavar="FILE", help="the new passphrase is the line in this file")
@click.option("--weak", is_flag=True, help="take one that is easily guessed")
@json_option()
@exclusive("master", "master_file")
@given
def command(options: Given) -> int:
    """Change it."""
    from hem_provider.cli import passphrase_actions

    return passphrase_actions.change(options)
