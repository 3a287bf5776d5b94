"""``hem decrypt``: decrypt an age file that is for a key of the device.

The key is found by what the file says, on all configured devices unless --device names one. It costs one
call of the device, or two for a file that is safe from quantum computers; where several keys may be meant
they are tried in turn, and --key saves that.

Only what is authentic is written. A file that was changed or cut ends with an error and status 1: nothing
is left of it at --output, and standard output has its beginning at most.

Example: hem decrypt report.pdf.age -o report.pdf
"""

from __future__ import annotations

import click

from hem_provider.cli.candidates import key_labels
from hem_provider.cli.options import FILE_TEXT, device_option, json_option, mobile_option, output_options
from hem_provider.cli.shape import Command, Given, argument, given

__all__ = ["command"]


@click.command("decrypt", cls=Command, help=__doc__)
@argument(
    "file",
    required=False,
    type=FILE_TEXT,
    metavar="[FILE]",
    help="what to decrypt; without it, and for -, standard input",
)
@output_options(as_text=True)
@click.option(
    "--key",
    multiple=True,
    metavar="KEY",
    shell_complete=key_labels,
    help="try this key alone; a pair is given by two",
)
@device_option("only this one of the configured devices")
@mobile_option()
@json_option("for programs: one JSON document, also for an error; needs --output")
@given
def command(options: Given) -> int:
    """Hand over to ``decrypt_actions``."""
    from hem_provider.cli import decrypt_actions

    return decrypt_actions.decrypt(options)
