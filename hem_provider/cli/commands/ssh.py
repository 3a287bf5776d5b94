"""``hem ssh``: keys for SSH: public keys, the agent, OpenSSH's configuration."""

from __future__ import annotations

import click

from hem_provider.cli.candidates import key_labels
from hem_provider.cli.options import FILE, device_option, json_option, mobile_option
from hem_provider.cli.shape import Given, Group, argument, exclusive, given

__all__ = ["command"]

command = Group("ssh", help=__doc__)

_names = argument(
    "names",
    nargs=-1,
    metavar="[KEY]...",
    shell_complete=key_labels,
    help="label or KID (default: all that SSH can use)",
)
_socket = click.option(
    "--socket", type=FILE, metavar="FILE", help="of the agent, if not the user's usual one"
)


@command.command(
    "keys",
    help="print public keys, as authorized_keys has them; no agent is needed",
    example="hem ssh keys deploy >> authorized_keys",
)
@_names
@device_option()
@mobile_option()
@json_option("one JSON array, with KID, type and fingerprint")
@click.option("--directory", type=FILE, metavar="DIR", help="write a file hem-LABEL.pub for each instead")
@exclusive("json", "directory")
@given
def _keys(options: Given) -> int:
    from hem_provider.cli import ssh_actions

    return ssh_actions.keys(options)


@command.command(
    "add",
    help="let the agent show keys again that it was told to forget, or on conditions",
    example="hem ssh add deploy --lifetime 8h --confirm",
)
@_names
@click.option("--confirm", is_flag=True, help="ask a person before each signature (SSH_ASKPASS)")
@click.option("--lifetime", metavar="TIME", help="forget them after that: 600, 90m, 8h, 1h30m, 2d")
@click.option(
    "--certificate",
    "certificates",
    type=FILE,
    multiple=True,
    metavar="FILE",
    help="show this certificate of one of them as well; may be given several times",
)
@_socket
@given
def _add(options: Given) -> int:
    from hem_provider.cli import ssh_actions

    return ssh_actions.add(options)


@command.command(
    "config",
    help="print lines for ~/.ssh/config, or for sshd_config",
    example="hem ssh config deploy --host 'git.*' >> ~/.ssh/config",
)
@argument(
    "names",
    nargs=-1,
    metavar="[KEY]...",
    shell_complete=key_labels,
    help="label or KID: use this key and no other",
)
@click.option("--host", default="*", metavar="PATTERN", help="servers that the lines are for")
@click.option("--sshd", is_flag=True, help="for a server whose host keys these are")
@click.option(
    "--directory",
    type=FILE,
    metavar="DIR",
    help="where 'hem ssh keys --directory' writes public keys (default: ~/.ssh, for sshd /etc/ssh)",
)
@_socket
@given
def _config(options: Given) -> int:
    from hem_provider.cli import ssh_actions

    return ssh_actions.config(options)
