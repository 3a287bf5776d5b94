"""``hem sign``: sign a file of any size, in a form that others verify.

Example: hem sign letter.txt --key web
"""

from __future__ import annotations

import click

from hem_provider.cli.candidates import key_labels
from hem_provider.cli.options import FILE, FILE_TEXT, device_option, json_option, mobile_option
from hem_provider.cli.shape import Command, Given, argument, given

__all__ = ["command"]


@click.command("sign", cls=Command, help=__doc__)
@argument("file", metavar="FILE", type=FILE_TEXT, help="what is signed; - is standard input")
@click.option(
    "--key",
    metavar="KEY",
    required=True,
    shell_complete=key_labels,
    help="label, KID or pkcs11: URI",
)
@click.option(
    "--format",
    type=click.Choice(("cms", "ssh", "minisign", "jws", "raw")),
    help="default: cms with --certificate or --signer-key-id, else ssh where SSH has such keys, else raw",
)
@click.option(
    "-o",
    "--output",
    type=FILE,
    metavar="FILE",
    help="default: FILE.p7s (cms), .minisig, .jws or .sig beside the file; - is standard output",
)
@click.option("--force", is_flag=True, help="replace a signature that is there already")
@click.option("--check", is_flag=True, help="show what would be signed, and sign nothing")
@click.option(
    "--digest",
    type=click.Choice(("sha256", "sha384", "sha512")),
    help="of cms, raw (default: as the curve has it) and ssh (default: sha512)",
)
@click.option(
    "--encoding",
    type=click.Choice(("der", "pem", "p1363")),
    help="der, or pem of cms, or p1363 of raw ECDSA: r and s side by side",
)
@click.option("--certificate", type=FILE, metavar="FILE", help="of cms: the key's certificate, and its chain")
@click.option("--signer-key-id", is_flag=True, help="of cms: name the signer by the identifier of its key")
@click.option("--attached", is_flag=True, help="of cms and jws: put the file into the signature")
@click.option("--namespace", metavar="NAME", help="of ssh: what it is for; default: file")
@click.option("--comment", metavar="TEXT", help="of minisign: the trusted comment; default: time and name")
@device_option()
@mobile_option()
@json_option()
@given
def command(options: Given) -> int:
    from hem_provider.cli.signing import making

    return making.make(options)
