"""``hem csr``: ask an authority for a certificate for a key of the device.

The request (PKCS#10, in PEM) is signed by the key, and goes to standard output.

Example: hem csr web --subject CN=web.example --san DNS:web.example --output web.csr
"""

from __future__ import annotations

import click

from hem_provider.cli.candidates import key_labels
from hem_provider.cli.options import device_option, json_option, mobile_option, output_options
from hem_provider.cli.shape import Command, Given, argument, given

__all__ = ["command"]


@click.command("csr", cls=Command, help=__doc__)
@argument("key", metavar="KEY", shell_complete=key_labels, help="label, KID or pkcs11: URI")
@click.option("--subject", metavar="NAME", help="such as CN=web.example,O=Example,C=PL")
@click.option(
    "--san",
    multiple=True,
    metavar="NAME",
    help="who it is for: DNS:, IP:, email: or URI: and the name; may be given several times",
)
@output_options()
@device_option()
@mobile_option()
@json_option()
@given
def command(options: Given) -> int:
    """The whole command."""
    from hem_provider.cli import certificate_actions

    return certificate_actions.make_request(options)
