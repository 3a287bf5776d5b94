"""``hem scdaemon``: the smart card daemon of GnuPG, started by gpg-agent."""

from __future__ import annotations

import click

from hem_provider.cli.options import FILE, device_option
from hem_provider.cli.shape import Command, Given, given

__all__ = ["command"]


@click.command(
    "scdaemon",
    cls=Command,
    help=__doc__,
    example="echo 'LEARN --force' | hem scdaemon --server",
)
@click.option("--server", is_flag=True, help="one conversation, by standard input and output")
@click.option("--multi-server", is_flag=True, help="further ones by a socket, too, as gpg-agent wants it")
@click.option(
    "--homedir",
    type=FILE,
    metavar="DIR",
    help="GnuPG's home, as gpg-agent tells it, where it is configured how long PINs are good for",
)
@click.option(
    "--prefer",
    multiple=True,
    metavar="FINGERPRINT",
    help="its card comes first: the one that gpg takes where nobody says which; may be given several times",
)
@click.option("--log-file", type=FILE, metavar="FILE", help="append to it what is asked, and what fails")
@device_option("this device alone (default: all that are configured)")
@given
def command(options: Given) -> int:
    from hem_provider.cli import scdaemon_actions

    return scdaemon_actions.run(options)
