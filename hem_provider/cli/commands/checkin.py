"""``hem checkin``: set the clock of your device, by way of its cloud service.

A device that was without power has no time, and lets nobody log in until it has checked in. No login is
needed. Where the computer that sees the device is not online, another that is online can carry the message:
what --challenge prints goes to --relay there, and what that prints to --answer here, within a minute.

Example: hem checkin --challenge | ssh online hem checkin --relay - | hem checkin --answer -
"""

from __future__ import annotations

import click

from hem_provider.cli.options import FILE_TEXT, device_option, json_option
from hem_provider.cli.shape import Command, Given, exclusive, given

__all__ = ["command"]


@click.command("checkin", cls=Command, help=__doc__)
@device_option()
@click.option("--challenge", is_flag=True, help="print what the device has to say to the cloud")
@click.option(
    "--relay", type=FILE_TEXT, metavar="FILE|-", help="bring that to the cloud, and print what it answers"
)
@click.option("--answer", type=FILE_TEXT, metavar="FILE|-", help="give the device what the cloud answered")
@json_option()
@exclusive("challenge", "relay", "answer")
@given
def command(options: Given) -> int:
    """Check in, or one part of it."""
    from hem_provider.cli import checkin_actions

    return checkin_actions.check_in(options)
