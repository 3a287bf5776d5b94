"""``hem seal``: encrypt a short secret with an AES key inside the device.

Made for passwords, tokens and keys of programs, up to 2 KiB, which "hem open" gives back: one call of the
device, whose key never leaves it. What is larger is for "hem encrypt". What is sealed is text in base64
unless --binary is given. A --context, such as "database of the shop", is needed again to open it: what was
sealed for one purpose is not taken for another.

The secret comes from a file or standard input, never from the command line; at a terminal it is asked for,
without being shown.

Example: hem seal vault token.txt -o token.sealed --context "deploy"
"""

from __future__ import annotations

import click

from hem_provider.cli.candidates import key_labels
from hem_provider.cli.options import FILE_TEXT, device_option, mobile_option, output_options
from hem_provider.cli.shape import Command, Given, argument, given

__all__ = ["command"]


@click.command("seal", cls=Command, help=__doc__)
@argument("key", metavar="KEY", shell_complete=key_labels, help="label or KID of an AES key")
@argument(
    "file", required=False, type=FILE_TEXT, metavar="[FILE]", help="the secret; without it standard input"
)
@click.option("--context", metavar="TEXT", help="what it is for; needed again to open it")
@click.option("--binary", is_flag=True, help="bytes in the place of text")
@output_options(as_text=True)
@device_option()
@mobile_option()
@given
def command(options: Given) -> int:
    """Hand over to ``sealing_actions``."""
    from hem_provider.cli import sealing_actions

    return sealing_actions.seal(options)
