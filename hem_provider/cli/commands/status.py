"""``hem status``: how a device is, and what this machine uses it for, on one screen.

No login is needed, and nothing is changed: three calls, and a look at the certificate. A device that is away
is told as such, with what this machine knows.

Example: ``hem status --login``
"""

from __future__ import annotations

import click

from hem_provider.cli.options import device_option, json_option, mobile_option
from hem_provider.cli.shape import Command, Given, given

__all__ = ["command"]


@click.command("status", cls=Command, help=__doc__)
@device_option()
@click.option("--login", is_flag=True, help="also what needs a login: serial, settings, keys by type, log")
@mobile_option()
@json_option()
@given
def command(options: Given) -> int:
    if options.mobile and not options.login:
        click.get_current_context().fail("--mobile is a way to log in: give --login with it.")
    from hem_provider.cli import status_actions

    return status_actions.show(options)
