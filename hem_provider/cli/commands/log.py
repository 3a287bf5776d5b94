"""``hem log``: read the device's audit log, and find out whether somebody has altered it.

Example: hem log verify
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from hem_provider.cli.candidates import key_labels
from hem_provider.cli.options import FILE, FILE_TEXT, Whole, device_option, json_option, mobile_option
from hem_provider.cli.shape import Given, Group, argument, exclusive, given

__all__ = ["command"]

#: What ``--copy`` means without a folder.
_USUAL = Path("\0")

F = TypeVar("F", bound=Callable[..., Any])

command = Group("log", help=__doc__)


def _to_the_device(callback: F) -> F:
    return device_option()(mobile_option()(json_option()(callback)))


_key = click.option(
    "--key", metavar="HEX", help="the log key as you have kept it, instead of what the device says it is"
)


@command.command("list", help="the log files, one for each start of the device\n\nExample: hem log list")
@_to_the_device
@given
def _list(options: Given) -> int:
    from hem_provider.cli import log_actions

    return log_actions.show_all(options)


@command.command("show", help="a log file as a person reads it\n\nExample: hem log show")
@argument("file", metavar="[ID]", required=False, help="of 'hem log list'; default: the newest closed one")
@_key
@_to_the_device
@given
def _show(options: Given) -> int:
    from hem_provider.cli import log_actions

    return log_actions.show(options)


@command.command(
    "verify",
    help="whether files, or the copy, are whole and unaltered\n\nExample: hem log verify\n"
    "hem log verify --copy",
)
@argument(
    "files",
    metavar="[ID|FILE]...",
    nargs=-1,
    help="of 'hem log list', or files that were saved (with a / in the name); default: all that are closed",
)
@click.option(
    "--copy",
    type=FILE,
    is_flag=False,
    flag_value=_USUAL,
    metavar="[FOLDER]",
    help="the copy that 'hem log collect' makes, instead of the device",
)
@click.option("--head", metavar="HEX", help="the end of the copy, as you have noted it: must be in it")
@_key
@_to_the_device
@given
def _verify(options: Given) -> int:
    if options.copy is not None:
        if options.files:
            raise click.UsageError("--copy verifies a whole copy: name no files with it.")
        from hem_provider.cli import log_collecting

        options.copy = None if options.copy == _USUAL else options.copy
        return log_collecting.verify(options)
    if options.head is not None:
        raise click.UsageError("--head is of a copy: give --copy with it.")
    from hem_provider.cli import log_actions

    return log_actions.verify(options)


@command.command(
    "collect",
    help="keep a copy of the log here, and tell what is odd about it\n\nExample: hem log collect\n"
    "hem log collect --every 3600",
)
@click.option("--to", type=FILE, metavar="FOLDER", help="the folder of the copy; default: one in your data")
@click.option(
    "--every", type=Whole(1, 7 * 86400), metavar="SECONDS", help="go on, and look again after so many seconds"
)
@click.option("--once", is_flag=True, help="look once, as without --every")
@click.option(
    "--sign",
    metavar="KEY",
    shell_complete=key_labels,
    help="seal what is new with this key of the device: label, KID or pkcs11: URI",
)
@click.option("--reread", is_flag=True, help="read files again that were collected, a call each")
@click.option(
    "--strict",
    is_flag=True,
    help="end with status 1 where anything odd was noticed, though all was collected",
)
@_to_the_device
@exclusive("every", "once")
@exclusive("every", "json")
@exclusive("every", "strict")
@given
def _collect(options: Given) -> int:
    from hem_provider.cli import log_collecting

    return log_collecting.collect(options)


@command.command(
    "follow",
    help="new events as they come, for people, programs or a command\n\nExample: hem log follow\n"
    "hem log follow --since 7d --once\n"
    "hem log follow --exec ./notify --rules rules.toml --name notify",
)
@click.option(
    "--every",
    type=Whole(1, 7 * 86400),
    metavar="SECONDS",
    help="look so often: default 300 at a device, where each look is a call, 2 at a copy",
)
@click.option("--since", metavar="TIME", help="what happened since then, too: 15m, 2h, 7d, 2026-01-31")
@click.option("--once", is_flag=True, help="look once; with --since for what has happened")
@click.option(
    "--copy",
    type=FILE,
    metavar="FOLDER",
    help="of this copy; default: the usual one while it is being collected, else the device",
)
@click.option(
    "--name",
    metavar="CURSOR",
    help="of a copy: begin behind what was told under this name; at first with what is new",
)
@click.option("--exec", metavar="COMMAND", help="run it for each event, with one JSON on standard input")
@click.option("--rules", type=FILE, metavar="FILE", help="TOML: for which events the command is run")
@click.option("--shell", is_flag=True, help="let /bin/sh run the command")
@click.option(
    "--limit", type=Whole(1, 3600), default=30, metavar="SECONDS", help="kill the command after so many [30]"
)
@_to_the_device
@exclusive("name", "since")
@given
def _follow(options: Given) -> int:
    if options.exec is None and (options.rules is not None or options.shell):
        raise click.UsageError("--rules and --shell are of a command: give --exec with them.")
    from hem_provider.cli import log_following

    return log_following.follow(options)


@command.command(
    "export",
    help="hand the collected log on to other programs, each entry at least once and in order\n\n"
    "It reads the copy that 'hem log collect' makes, and calls no device. How far each target has got is "
    "kept beside the copy.\n\n"
    "Example: hem log export --to tls://logs.example.com:6514 --follow\n\n"
    "Example: hem log export --format cef --to events.cef",
)
@click.option(
    "--format",
    type=click.Choice(("jsonl", "syslog", "cef", "ocsf", "journal")),
    help="how entries read; default: syslog over a network, jsonl in files",
)
@click.option(
    "--to",
    type=FILE_TEXT,
    metavar="TARGET",
    default="-",
    help="FILE, udp|tcp|tls://HOST:PORT, journal[:SOCKET]; default: standard output",
)
@click.option("--from", "from_", type=FILE, metavar="FOLDER", help="the copy; default: that of the device")
@click.option("--follow", is_flag=True, help="go on with what is collected later, until interrupted")
@click.option(
    "--every",
    type=Whole(1, 86400, "number of seconds"),
    metavar="SECONDS",
    default=5,
    help="with --follow: look into the copy so often; default: 5",
)
@click.option(
    "--name", metavar="CURSOR", help="what remembers how far the target has got; default: from --to"
)
@click.option(
    "--after",
    type=Whole(0, 10**18),
    metavar="NUMBER",
    help="begin behind this entry, whatever the cursor says; 0: with the first; a FILE with entries "
    "in it goes on behind those",
)
@click.option(
    "--wait",
    type=Whole(0, 10**9, "number of seconds"),
    metavar="SECONDS",
    help="for a receiver that is away; default: 60, with --follow without end",
)
@click.option("--host", metavar="NAME", help="what the device is called in messages; default: as configured")
@click.option(
    "--enterprise",
    type=Whole(1, 2**32 - 1),
    metavar="NUMBER",
    default=32473,
    help="private enterprise number of syslog's structured data; default: 32473, which is nobody's",
)
@click.option(
    "--ca-file", type=FILE, metavar="FILE", help="authorities of the receiver, instead of the system's"
)
@click.option("--certificate", type=FILE, metavar="FILE", help="our own certificate for the receiver, in PEM")
@click.option("--private-key", type=FILE, metavar="FILE", help="its private key, in PEM")
@device_option()
@json_option()
@given
def _export(options: Given) -> int:
    from hem_provider.cli import log_export_actions

    return log_export_actions.export(options)
