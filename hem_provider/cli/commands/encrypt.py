"""``hem encrypt``: encrypt a file of any size for keys of the device and of others, as age does.

Encrypting needs public keys only: no login where they are remembered, as they are once the device was
listed here. A key is named by its label or KID; an MLKEM768 key together with a CURVE25519 or SECP256R1
key, both on the device, as "KEY+KEY", which no quantum computer opens.

The last word is the file, unless it is the only one and neither -r nor -R is given: then it is a key, and
standard input is encrypted.

Example: hem encrypt box report.pdf -o report.pdf.age
"""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from hem_provider.cli.candidates import key_labels
from hem_provider.cli.options import FILE_TEXT, device_option, json_option, mobile_option, output_options
from hem_provider.cli.shape import Command, Given, argument, given

__all__ = ["command"]


def _keys_and_files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [*key_labels(ctx, param, incomplete), CompletionItem(incomplete, type="file")]


@click.command("encrypt", cls=Command, help=__doc__)
@argument(
    "words",
    nargs=-1,
    metavar="[KEY]... [FILE]",
    shell_complete=_keys_and_files,
    help="keys of the device, and what to encrypt; - is standard input",
)
@click.option(
    "-r", "--recipient", multiple=True, metavar="AGE1...", help="a public key as age has it; may be repeated"
)
@click.option(
    "-R",
    "--recipients-file",
    multiple=True,
    type=FILE_TEXT,
    metavar="FILE",
    help="a file of such keys, one a line",
)
@output_options(as_text=True)
@click.option("-a", "--armor", is_flag=True, help="as text")
@click.option("--print-recipients", is_flag=True, help="print the keys as age has them, and encrypt nothing")
@device_option()
@mobile_option()
@json_option("for programs: one JSON document, also for an error; needs --output")
@given
def command(options: Given) -> int:
    """Hand over to ``encrypt_actions``."""
    from hem_provider.cli import encrypt_actions

    return encrypt_actions.encrypt(options)
