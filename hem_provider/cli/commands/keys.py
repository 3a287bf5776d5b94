"""``hem keys``: make, list, find, rename and delete a device's keys, and hand out their public halves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from hem_provider.cli.candidates import key_labels
from hem_provider.cli.keywords import IDENTIFIER, LABEL, TYPE, USES
from hem_provider.cli.options import (
    FILE,
    device_option,
    json_option,
    mobile_option,
    output_options,
    yes_option,
)
from hem_provider.cli.shape import Given, Group, argument, exclusive, given

__all__ = ["command"]

F = TypeVar("F", bound=Callable[..., Any])

command = Group("keys", help=__doc__)


def _to_the_device(callback: F) -> F:
    return device_option()(mobile_option()(callback))


def _fresh(callback: F) -> F:
    text = "ask the device, also where its keys were listed within the last 30 s"
    return click.option("--fresh", is_flag=True, help=text)(callback)


def _named(callback: F) -> F:
    """The options of an action that puts a key onto the device."""
    label = click.option("--label", type=LABEL, required=True, help="1 to 32 printable ASCII characters")
    use = click.option(
        "--use",
        type=USES,
        multiple=True,
        metavar="WORDS",
        help="of sign, derive, aead, cipher, wrap, mac; several with commas; default: all that the type "
        "can do, for AES aead alone",
    )
    own = click.option(
        "--id",
        type=IDENTIFIER,
        metavar="HEX",
        help="an id of your own, up to 40 bytes; PKCS#11 calls it CKA_ID",
    )
    return label(use(own(_to_the_device(callback))))


_KEY = "label, KID or pkcs11: URI"
_key = argument("key", metavar="KEY", shell_complete=key_labels, help=_KEY)


@command.command(
    "list",
    help="a table of all keys: label, type, use, who made them, age, KID\n\n"
    "Example: hem keys list --device office",
)
@_fresh
@_to_the_device
@json_option()
@given
def _list(options: Given) -> int:
    from hem_provider.cli import keys_actions

    return keys_actions.show_all(options)


@command.command(
    "search",
    help="the keys that fit all that is given\n\nExample: hem keys search web --type P-256",
)
@argument(
    "pattern",
    metavar="[LABEL]",
    required=False,
    help="part of a label; with * or ? a pattern of the whole; capitals do not matter",
)
@click.option("--type", type=TYPE, metavar="TYPE", help="of this type, such as P-256, X25519, AES256")
@click.option(
    "--made-by",
    type=click.Choice(("hem-provider", "mail", "chat", "OIDC"), case_sensitive=False),
    metavar="WHO",
    help="made by hem-provider, or by an application of the vendor: mail, chat, OIDC",
)
@click.option("--id", type=IDENTIFIER, metavar="HEX", help="with this id of an application")
@click.option("--descr", metavar="TEXT", help="whose free field (descr) begins so")
@_fresh
@_to_the_device
@json_option()
@given
def _search(options: Given) -> int:
    from hem_provider.cli import keys_actions

    return keys_actions.search(options)


@command.command(
    "show", help="all that is known of a key, with its public half\n\nExample: hem keys show web"
)
@_key
@_to_the_device
@json_option()
@given
def _show(options: Given) -> int:
    from hem_provider.cli import keys_actions

    return keys_actions.show(options)


@command.command(
    "public",
    help="the public half of a key, for other programs\n\nExample: hem keys public web --format ssh",
)
@_key
@_to_the_device
@click.option(
    "--format",
    type=click.Choice(("pem", "der", "ssh", "jwk", "raw", "age", "minisign")),
    default="pem",
    metavar="FORMAT",
    help="pem (default), der, ssh, jwk, age (a recipient), minisign, or raw: a compressed point, or the "
    "standard's bytes",
)
@output_options()
@given
def _public(options: Given) -> int:
    from hem_provider.cli import keys_actions

    return keys_actions.public(options)


@command.command(
    "create",
    help="make a key on the device, which it never leaves\n\n"
    "Example: hem keys create P-256 --label web --use sign",
)
@argument("type", type=TYPE, metavar="TYPE", help="such as P-256, Ed25519, X25519, AES256, ML-KEM-768")
@_named
@json_option()
@given
def _create(options: Given) -> int:
    from hem_provider.cli import keys_changes

    return keys_changes.create(options)


@command.command("rename", help="give a key another label\n\nExample: hem keys rename web 'web 2027'")
@_key
@argument("new", type=LABEL, metavar="NEW", help="the label from now on")
@_to_the_device
@yes_option("do not ask about keys that other applications made")
@json_option()
@given
def _rename(options: Given) -> int:
    from hem_provider.cli import keys_changes

    return keys_changes.rename(options)


@command.command(
    "delete", help="destroy a key, for good, after its label was typed\n\nExample: hem keys delete web"
)
@_key
@_to_the_device
@yes_option()
@json_option()
@given
def _delete(options: Given) -> int:
    from hem_provider.cli import keys_changes

    return keys_changes.delete(options)


@command.command(
    "derive",
    help="make a key on the device from what a key of it agrees on with a peer (ECDH)\n\n"
    "Example: hem keys derive mine --peer theirs --type AES256 --label shared",
)
@_key
@click.option("--peer", metavar="KEY", shell_complete=key_labels, help=f"a key on the device: {_KEY}")
@click.option("--peer-file", type=FILE, metavar="FILE", help="or a public key: PEM, DER, SSH line or JWK")
@click.option("--type", type=TYPE, required=True, metavar="TYPE", help="of the key that is made")
@_named
@json_option()
@exclusive("peer", "peer_file", required=True)
@given
def _derive(options: Given) -> int:
    from hem_provider.cli import keys_changes

    return keys_changes.derive(options)


@command.command(
    "import-public",
    help="store a public key of others on the device\n\n"
    "Example: hem keys import-public anna.pem --label anna",
)
@argument(
    "file", type=FILE, metavar="FILE", help="public key: PEM, DER, SSH line, JWK; with --type raw bytes"
)
@click.option("--type", type=TYPE, metavar="TYPE", help="the file is the bare key, of this type")
@_named
@json_option()
@given
def _import_public(options: Given) -> int:
    from hem_provider.cli import keys_changes

    return keys_changes.import_public(options)
