"""``hem gpg``: OpenPGP certificates of keys in the HEM, for GnuPG and git."""

from __future__ import annotations

import click

from hem_provider.cli.candidates import key_labels
from hem_provider.cli.options import FILE, device_option, json_option, mobile_option, output_options
from hem_provider.cli.shape import Given, Group, argument, given

__all__ = ["command"]

command = Group("gpg", help=__doc__)

_home = click.option(
    "--homedir", type=FILE, metavar="DIR", help="GnuPG's home (default: $GNUPGHOME, else ~/.gnupg)"
)
_force = click.option(
    "--force", is_flag=True, help="take the place of another smart card daemon in gpg-agent.conf"
)
_name = click.option("--name", metavar="NAME", help="of the certificate: 'Ada <ada@example.org>'")
_which = argument(
    "certificate", required=False, metavar="[CERTIFICATE]", help="fingerprint, its end, or a part of the name"
)


@command.command(
    "setup",
    help="make keys for GnuPG, or choose some, and let gpg use them",
    example="hem gpg setup --name 'Ada <ada@example.org>'",
)
@_name
@click.option("--sign-key", metavar="KEY", shell_complete=key_labels, help="label or KID: sign by this one")
@click.option("--decrypt-key", metavar="KEY", shell_complete=key_labels, help="decrypt by this one")
@click.option("--login-key", metavar="KEY", shell_complete=key_labels, help="authenticate (ssh) by this one")
@click.option(
    "--decrypt-type",
    type=click.Choice(("CURVE25519", "SECP256R1")),
    default="CURVE25519",
    help="of the key for decryption, if one is made",
)
@click.option("--new", is_flag=True, help="make another certificate, also where one of this name is there")
@_home
@_force
@device_option()
@mobile_option()
@json_option()
@given
def _setup(options: Given) -> int:
    from hem_provider.cli import gpg_actions

    return gpg_actions.setup(options)


@command.command(
    "import",
    help="make gpg use certificates whose keys are in the HEM, also those of the vendor's mail application",
    example="hem gpg import",
)
@_which
@_name
@_home
@_force
@device_option()
@mobile_option()
@json_option()
@given
def _import(options: Given) -> int:
    from hem_provider.cli import gpg_actions

    return gpg_actions.import_(options)


@command.command(
    "export",
    help="print a certificate, made anew from its keys, without what was changed by gpg since",
    example="hem gpg export ada@example.org -o ada.asc",
)
@_which
@_name
@output_options()
@device_option()
@mobile_option()
@given
def _export(options: Given) -> int:
    from hem_provider.cli import gpg_actions

    return gpg_actions.export(options)


@command.command(
    "status",
    help="show the certificates whose keys are in the HEM, and what gpg knows of them",
    example="hem gpg status",
)
@_home
@device_option()
@mobile_option()
@json_option()
@given
def _status(options: Given) -> int:
    from hem_provider.cli import gpg_actions

    return gpg_actions.status(options)
