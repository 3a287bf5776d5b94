"""``hem openssl``: how OpenSSL uses keys of a device: by pkcs11-provider, or by the engine of before 4.0."""

from __future__ import annotations

import click

from hem_provider.cli.candidates import key_labels
from hem_provider.cli.openssl_files import ENGINE_IDS, LIBRARY, engine_path
from hem_provider.cli.options import FILE, device_option, json_option, mobile_option
from hem_provider.cli.shape import Given, Group, argument, exclusive, given

__all__ = ["command"]

command = Group("openssl", help=__doc__)
_engine = click.option(
    "--engine", is_flag=True, help="for the engine, whatever is here; OpenSSL 4.0 has no engines"
)


@command.command(
    "path", help=f"print the path of {LIBRARY}", example='openssl engine -t "$(hem openssl path)"'
)
def _path() -> int:
    print(engine_path())
    return 0


@command.command(
    "config",
    help="print an openssl.cnf for the openssl that is found: with pkcs11-provider where that is there and "
    "OpenSSL is 3.2 or newer, else with the engine",
    example="hem openssl config > hem.cnf",
)
@_engine
@click.option(
    "--id",
    type=click.Choice(ENGINE_IDS),
    help="for the engine, and what OpenSSL calls it; pkcs11 is for programs that know no other; default: hem",
)
@click.option("--provider", type=FILE, metavar="FILE", help="load this pkcs11-provider")
@exclusive("engine", "provider")
@exclusive("id", "provider")
@given
def _config(options: Given) -> int:
    from hem_provider.cli.openssl_actions import print_config

    return print_config(options)


@command.command(
    "uri",
    help="print the pkcs11: URI that names a key, for programs that take one; its device is asked",
    example="uri=$(hem openssl uri web)",
)
@click.option("--public", is_flag=True, help="of its public half")
@argument("name", metavar="KEY", shell_complete=key_labels, help="label, KID or pkcs11: URI")
@device_option()
@mobile_option()
@json_option()
@given
def _uri(options: Given) -> int:
    from hem_provider.cli.openssl_actions import print_uri

    return print_uri(options)


@command.command(
    "pem",
    help="print a key file that names a key, for programs that read files, for the way that "
    "'config' chooses; no device is asked",
    example="hem openssl pem web > web.key",
)
@_engine
@click.option("--provider", is_flag=True, help="for pkcs11-provider, whatever is here")
@argument(
    "name", metavar="NAME", shell_complete=key_labels, help="label or pkcs11: URI; for the engine also KID"
)
@exclusive("engine", "provider")
@given
def _pem(options: Given) -> int:
    from hem_provider.cli.openssl_actions import print_pem

    return print_pem(options)
