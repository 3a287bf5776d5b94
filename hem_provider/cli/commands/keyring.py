"""``hem keyring``: make, look at, fill, move and check the vault behind the keyring backend."""

from __future__ import annotations

import argparse
import os

from hem_provider.cli.paths import path_argument, path_text
from hem_provider.errors import HemConfigError

__all__ = ["add_parser"]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``hem keyring`` and its actions."""
    parser = commands.add_parser("keyring", help="passwords that open only while the HEM is there")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    _add_init(actions)
    listing = _action(actions, "list", "print the names of all entries, never a password")
    listing.add_argument("--json", action="store_true", help="one JSON array [service, user] a line")
    _add_import(actions)
    _add_rewrap(actions)
    _action(actions, "check", "open every entry, and tell which do not")


def _add_init(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    init = _action(actions, "init", "make a key on the device, and a vault that it opens")
    _add_key(init)
    init.add_argument("--hide-names", action="store_true", help="hide service and user names as well")
    init.add_argument("--names-key", metavar="KID", help="hide them with this SHA2-256 key, not a new one")


def _add_import(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    bring = _action(actions, "import", "bring in entries of another backend, which keeps them")
    bring.add_argument(
        "backend",
        nargs="?",
        metavar="BACKEND",
        help="as 'keyring --list-backends' shows it: package.module.Class",
    )
    bring.add_argument("names", nargs="*", metavar="SERVICE USER", help="only these entries")
    bring.add_argument(
        "--names",
        dest="file",
        type=path_text,
        metavar="FILE",
        help="only these: SERVICE<tab>USER a line; - is standard input",
    )
    bring.add_argument(
        "--from-vault", type=path_argument, metavar="FILE", help="another vault instead of a backend"
    )
    bring.add_argument("--overwrite", action="store_true", help="replace entries that are there already")


def _add_rewrap(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    rewrap = _action(actions, "rewrap", "move the vault to another key; passwords are not touched")
    _add_key(rewrap)
    rewrap.add_argument(
        "--delete-old-key", action="store_true", help="destroy the former key: older copies never open again"
    )


def _add_key(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--key", metavar="KID", help="this AES256 key instead of a new one")
    which.add_argument("--label", default="keyring", help="label of the new key (default: keyring)")


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    parser.add_argument(
        "--vault",
        type=path_argument,
        metavar="FILE",
        help="default: $KEYRING_PROPERTY_VAULT, else the user's own",
    )
    parser.add_argument(
        "--device",
        metavar="NAME",
        default=os.environ.get("KEYRING_PROPERTY_DEVICE"),
        help="configured device, if not the one the vault names",
    )
    parser.set_defaults(func=_run, action=name)
    return parser


def _run(options: argparse.Namespace) -> int:
    try:
        from hem_provider.cli import keyring_actions
    except ModuleNotFoundError as error:
        raise HemConfigError(
            f"'hem keyring' needs the package {error.name!r}: pip install 'hem-provider[keyring]'"
        ) from error
    return keyring_actions.ACTIONS[options.action](options)
