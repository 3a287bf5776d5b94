"""``hem config``: which devices this machine uses, and how: the configuration file.

Example: hem config show
"""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from hem_provider.cli.options import FILE, json_option, yes_option
from hem_provider.cli.shape import Given, Group, argument, exclusive, given

__all__ = ["command"]

command = Group("config", help=__doc__)


def _settings(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from hem_provider.cli import config_actions

    return [CompletionItem(each) for each in config_actions.settable() if each.startswith(incomplete)]


@command.command("path", help="which file counts, and why\n\nExample: hem config path")
@json_option()
@given
def _path(options: Given) -> int:
    from hem_provider.cli import config_actions

    return config_actions.path(options)


@command.command("show", help="the settings that hold, and where each comes from\n\nExample: hem config show")
@argument("names", nargs=-1, metavar="[NAME]...", help="only of these devices; pkcs11: of the module")
@click.option("--all", "everything", is_flag=True, help="settings that are as they always are, too")
@json_option()
@given
def _show(options: Given) -> int:
    from hem_provider.cli import config_actions

    return config_actions.show(options)


@command.command("check", help="find every fault, and who may change what\n\nExample: hem config check")
@argument("file", required=False, type=FILE, metavar="[FILE]", help="another file than the one that counts")
@json_option()
@given
def _check(options: Given) -> int:
    from hem_provider.cli import config_actions

    return config_actions.check(options)


@command.command(
    "init",
    help="write a device into the file: asks for what no option says\n\n"
    "Example: hem config init --url https://my.ence.do --name office",
)
@click.option("--url", metavar="URL", help="where the device is: https://HOST[:PORT]")
@click.option("--name", metavar="NAME", help="what you call it")
@click.option("--ca-file", type=FILE, metavar="FILE", help="PEM file of the authority to trust instead")
@click.option("--pin", metavar="SHA256", help="SHA-256 of its public key: hex or base64")
@click.option("--auth", type=click.Choice(("passphrase", "mobile")), help="log in by passphrase or phone")
@click.option("--passphrase-file", type=FILE, metavar="FILE", help="file that holds the passphrase")
@click.option("--passphrase-command", metavar="COMMAND", help="command that prints the passphrase")
@click.option("--offline", is_flag=True, help="do not ask the device; it is away, or comes later")
@yes_option("do not ask whether to write it")
@json_option()
@exclusive("ca_file", "pin")
@exclusive("passphrase_file", "passphrase_command")
@given
def _init(options: Given) -> int:
    from hem_provider.cli import config_init

    return config_init.init(options)


@command.command(
    "set",
    help="change one setting; comments stay\n\nExample: hem config set office.timeout 60",
)
@argument("setting", metavar="NAME.SETTING", shell_complete=_settings, help="of a device, or of pkcs11")
@argument("value", required=False, metavar="[VALUE]", help="as in the environment, or as TOML has it")
@click.option("--unset", is_flag=True, help="take it away: the default holds again")
@json_option()
@given
def _set(options: Given) -> int:
    from hem_provider.cli import config_actions

    return config_actions.change(options)
