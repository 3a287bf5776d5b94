"""``hem certificate``: make certificates with keys of the device, and look after its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from hem_provider.cli.candidates import key_labels
from hem_provider.cli.options import (
    FILE,
    Whole,
    device_option,
    json_option,
    mobile_option,
    output_options,
    yes_option,
)
from hem_provider.cli.shape import Given, Group, argument, given

__all__ = ["command"]

F = TypeVar("F", bound=Callable[..., Any])

command = Group("certificate", help=__doc__)

#: As ``adapters.x509`` has them, which is loaded later.
_PROFILES = ("server", "client", "code", "ca")
_MOST_DAYS = 36_500
_MOST_BELOW = 16


def _made(callback: F) -> F:
    """The options of an action that makes a certificate."""
    options = (
        click.option(
            "--profile",
            type=click.Choice(_PROFILES),
            required=True,
            help="what it is good for; ca is an authority's",
        ),
        click.option("--subject", metavar="NAME", help="such as CN=web.example,O=Example,C=PL"),
        click.option(
            "--san",
            multiple=True,
            metavar="NAME",
            help="who it is for: DNS:, IP:, email: or URI: and the name; may be given several times",
        ),
        click.option(
            "--days",
            type=Whole(1, _MOST_DAYS),
            metavar="N",
            help="how long it is good; default: server 90, client and code 365, ca 3650",
        ),
        click.option(
            "--path-length",
            type=Whole(0, _MOST_BELOW),
            metavar="N",
            help="of an authority: how many others may stand below it; default: 0",
        ),
        output_options(),
        device_option(),
        mobile_option(),
        json_option(),
    )
    for option in reversed(options):
        callback = option(callback)
    return callback


@command.command(
    "self-signed",
    help="a certificate that its own key signs\n\n"
    "Example: hem certificate self-signed root --profile ca --subject 'CN=Our CA' --output root.pem",
)
@argument("key", metavar="KEY", shell_complete=key_labels, help="label, KID or pkcs11: URI")
@_made
@given
def _self_signed(options: Given) -> int:
    from hem_provider.cli import certificate_actions

    return certificate_actions.make_self_signed(options)


@command.command(
    "issue",
    help="a certificate on a request, signed by a key of an authority\n\n"
    "Subject and names are those of the request, unless others are given; they are shown, and you are asked. "
    "Nothing else of it is taken over.\n\n"
    "Example: hem certificate issue web.csr --key root --issuer root.pem --profile server --output web.pem",
)
@argument("request", type=FILE, metavar="REQUEST", help="file with the request, PEM or DER")
@click.option("--key", required=True, metavar="KEY", shell_complete=key_labels, help="the authority's key")
@click.option("--issuer", type=FILE, required=True, metavar="FILE", help="the authority's certificate")
@yes_option("sign without asking whether these names are meant")
@_made
@given
def _issue(options: Given) -> int:
    from hem_provider.cli import certificate_actions

    return certificate_actions.sign_request(options)


@command.command(
    "show",
    help="the device's own certificate, for its TLS; without a login\n\nExample: hem certificate show",
)
@device_option()
@json_option()
@given
def _show(options: Given) -> int:
    from hem_provider.cli import certificate_actions

    return certificate_actions.show(options)


@command.command(
    "request",
    help="a certificate request for the device's own certificate, for an authority of yours\n\n"
    "The device makes a new key for it; 'hem certificate install' brings in what the authority made.\n\n"
    "Example: hem certificate request --output device.csr",
)
@output_options()
@device_option()
@mobile_option()
@json_option()
@given
def _request(options: Given) -> int:
    from hem_provider.cli import certificate_own

    return certificate_own.request(options)


@command.command(
    "install",
    help="install a certificate of the device's own that did not come from the cloud\n\n"
    "FILE is a chain in PEM or DER, the device's first, or the answer of a check-in that was carried. It is "
    "shown before it is installed. The device restarts.\n\nExample: hem certificate install device.pem",
)
@argument("file", type=FILE, metavar="FILE", help="chain, or answer of 'hem checkin --relay'")
@click.option("--no-restart", is_flag=True, help="leave the device running with the former one")
@device_option()
@mobile_option()
@yes_option("install without asking whether this certificate is meant")
@json_option()
@given
def _install(options: Given) -> int:
    from hem_provider.cli import certificate_own

    return certificate_own.install(options)


@command.command(
    "renew",
    help="install the certificate that the vendor's cloud offers for the device\n\n"
    "It works with one that has expired, too. The device restarts.\n\nExample: hem certificate renew",
)
@click.option("--no-restart", is_flag=True, help="leave the device running with the former one")
@device_option()
@mobile_option()
@yes_option("do not ask whether the device may restart")
@json_option()
@given
def _renew(options: Given) -> int:
    from hem_provider.cli import certificate_own

    return certificate_own.renew(options)
