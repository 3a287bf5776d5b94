"""``hem open``: give back a secret that "hem seal" made.

It costs one call of the device. What was changed, cut, or sealed with another key or context is refused, and
nothing of it is shown.

Example: hem open vault token.sealed --context "deploy"
"""

from __future__ import annotations

import click

from hem_provider.cli.candidates import key_labels
from hem_provider.cli.options import FILE_TEXT, device_option, mobile_option, output_options
from hem_provider.cli.shape import Command, Given, argument, given

__all__ = ["command"]


@click.command("open", cls=Command, help=__doc__)
@argument("key", metavar="KEY", shell_complete=key_labels, help="label or KID of the key that sealed it")
@argument(
    "file", required=False, type=FILE_TEXT, metavar="[FILE]", help="what is sealed; without it standard input"
)
@click.option("--context", metavar="TEXT", help="what it was sealed for")
@click.option("--binary", is_flag=True, help="it was sealed with --binary")
@output_options(as_text=True)
@device_option()
@mobile_option()
@given
def command(options: Given) -> int:
    """Hand over to ``sealing_actions``."""
    from hem_provider.cli import sealing_actions

    return sealing_actions.unseal(options)
