"""``hem ssh``: public keys for servers, and OpenSSH by the agent."""

from __future__ import annotations

import argparse

from hem_provider.cli.paths import path_argument

__all__ = ["add_parser"]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``hem ssh`` and its actions."""
    parser = commands.add_parser("ssh", help="keys for SSH: public keys, the agent, OpenSSH's configuration")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    _add_keys(actions)
    _add_add(actions)
    _add_config(actions)


def _add_keys(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    keys = _action(actions, "keys", "print public keys, as authorized_keys has them; no agent is needed")
    keys.add_argument("names", nargs="*", metavar="KEY", help="label or KID (default: all that SSH can use)")
    keys.add_argument("--device", metavar="NAME", help="configured device, if there are several")
    how = keys.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="one JSON array, with KID, type and fingerprint")
    how.add_argument(
        "--directory", type=path_argument, metavar="DIR", help="write a file hem-LABEL.pub for each instead"
    )


def _add_add(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    add = _action(
        actions, "add", "let the agent show keys again that it was told to forget, or on conditions"
    )
    add.add_argument("names", nargs="*", metavar="KEY", help="label or KID (default: all that SSH can use)")
    add.add_argument(
        "--confirm", action="store_true", help="ask a person before each signature (SSH_ASKPASS)"
    )
    add.add_argument("--lifetime", metavar="TIME", help="forget them after that: 600, 90m, 8h, 1h30m, 2d")
    add.add_argument(
        "--certificate",
        dest="certificates",
        type=path_argument,
        action="append",
        default=[],
        metavar="FILE",
        help="show this certificate of one of them as well; may be given several times",
    )
    _add_socket(add)


def _add_config(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    config = _action(actions, "config", "print lines for ~/.ssh/config, or for sshd_config")
    config.add_argument("names", nargs="*", metavar="KEY", help="label or KID: use this key and no other")
    config.add_argument("--host", default="*", metavar="PATTERN", help="servers that the lines are for")
    config.add_argument("--sshd", action="store_true", help="for a server whose host keys these are")
    config.add_argument(
        "--directory",
        type=path_argument,
        metavar="DIR",
        help="where 'hem ssh keys --directory' writes public keys (default: ~/.ssh, for sshd /etc/ssh)",
    )
    _add_socket(config)


def _add_socket(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--socket", type=path_argument, metavar="FILE", help="of the agent, if not the user's usual one"
    )


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    parser.set_defaults(func=_run, action=name)
    return parser


def _run(options: argparse.Namespace) -> int:
    from hem_provider.cli import ssh_actions

    return ssh_actions.ACTIONS[options.action](options)
