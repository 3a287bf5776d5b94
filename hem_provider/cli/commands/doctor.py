"""``hem doctor``: find what is wrong with a device, the way to it, or this machine, and what to do.

One check after the other, in the order in which trouble is looked for: settings, name, connection,
certificate, status, cloud, clock, login, rights, self-test, log; then what this machine has around the
device.
What depends on a check that failed is not tried. Nothing is changed without ``--fix``.

Example: ``hem doctor --device office --fix``
"""

from __future__ import annotations

import click

from hem_provider.cli.options import device_option, json_option, mobile_option, yes_option
from hem_provider.cli.shape import Command, Given, exclusive, given

__all__ = ["command"]


@click.command("doctor", cls=Command, help=__doc__)
@device_option()
@mobile_option()
@click.option("--no-login", is_flag=True, help="leave out what needs a login")
@click.option("--fix", is_flag=True, help="repair what is harmless to repair, after a question each")
@yes_option("repair without asking")
@json_option()
@exclusive("mobile", "no_login")
@given
def command(options: Given) -> int:
    from hem_provider.cli import doctor_actions

    return doctor_actions.diagnose(options)
