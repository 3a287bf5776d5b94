"""``hem verify``: whether a signature of a file is good.

Example: hem verify letter.txt --key web
"""

from __future__ import annotations

import click

from hem_provider.cli.candidates import key_labels
from hem_provider.cli.options import FILE, FILE_TEXT, device_option, json_option, mobile_option
from hem_provider.cli.shape import Command, Given, argument, exclusive, given

__all__ = ["command"]


@click.command("verify", cls=Command, help=__doc__)
@argument("file", metavar="FILE", type=FILE_TEXT, help="what was signed; - is standard input")
@click.option(
    "--signature", type=FILE, metavar="FILE", help="default: the one beside the file, as hem sign calls it"
)
@click.option(
    "--key", metavar="KEY", shell_complete=key_labels, help="a key of the device: label, KID or pkcs11: URI"
)
@click.option(
    "--public",
    type=FILE,
    metavar="FILE",
    help="a public key, as hem keys public writes it, or a certificate; no login",
)
@click.option(
    "--allowed-signers",
    type=FILE,
    metavar="FILE",
    help="of ssh: who may sign, as ssh-keygen has it; no login",
)
@click.option(
    "--certificate",
    type=FILE,
    metavar="FILE",
    help="of cms: the signer's certificate, which is trusted; no login",
)
@click.option(
    "--ca-file",
    type=FILE,
    metavar="FILE",
    help="of cms: authorities that the certificate in the signature must lead to; no login",
)
@click.option("--identity", metavar="NAME", help="with --allowed-signers: who must have signed")
@click.option("--namespace", metavar="NAME", help="of ssh: what it must be for; default: file")
@click.option(
    "--format",
    type=click.Choice(("cms", "ssh", "minisign", "jws", "raw")),
    help="default: what the signature looks like",
)
@click.option(
    "--digest",
    type=click.Choice(("sha256", "sha384", "sha512")),
    help="of raw ECDSA; default: as the curve has it",
)
@click.option("--encoding", type=click.Choice(("der", "p1363")), help="of raw ECDSA; default: as it looks")
@device_option()
@mobile_option()
@json_option()
@exclusive("key", "public", "allowed_signers", "certificate", "ca_file", required=True)
@given
def command(options: Given) -> int:
    from hem_provider.cli.signing import checking

    return checking.verify(options)
