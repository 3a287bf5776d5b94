"""``hem init``: bring a factory-fresh device into use.

A conversation: it finds the device, asks who you are, lets you choose a passphrase, shows the 24 words of
the master secret once, initialises the device, gets its certificate, writes the configuration, pairs a
phone and makes a first key. What options say is not asked, and without a terminal they say all. If it is
broken off, the same command goes on. A device that is initialised already is left alone.

Example: hem init

Example: hem init --owner Ada --passphrase-file p --master-file m --yes
"""

from __future__ import annotations

import click

from hem_provider.cli.options import FILE, json_option, yes_option
from hem_provider.cli.shape import Command, Given, exclusive, given

__all__ = ["command"]


@click.command("init", cls=Command, help=__doc__)
@click.option("--address", metavar="URL", help="where the device is now (default: where new ones are)")
@click.option("--url", metavar="URL", help="where it will be used (default: https:// and its host name)")
@click.option(
    "--ca-file", type=FILE, metavar="FILE", help="authority of its certificate, if not a public one"
)
@click.option("--firmware", type=FILE, metavar="FILE", help="install this firmware first")
@click.option("--owner", metavar="NAME", help="whose device it is")
@click.option("--email", metavar="ADDRESS", help="the owner's")
@click.option("--name", metavar="NAME", help="what it is called in the configuration (default: hem)")
@click.option("--hostname", metavar="NAME", help="its name on the network (default: my.ence.do)")
@click.option("--storage", metavar="ro|rw|hidden", help="its open disk when it starts (default: ro)")
@click.option("--disk-size", metavar="MIB", help="size of that disk (default: 4096)")
@click.option("--passphrase-file", type=FILE, metavar="FILE", help="the new passphrase is the line in it")
@click.option("--master-file", type=FILE, metavar="FILE", help="the master secret: 24 words or a passphrase")
@click.option("--master-passphrase", is_flag=True, help="ask for a master passphrase, make no words")
@click.option("--weak", is_flag=True, help="take passphrases that are easily guessed")
@click.option("--no-certificate", is_flag=True, help="get none, where the device has no certificate")
@click.option("--phone/--no-phone", default=None, help="pair a phone, or do not ask")
@click.option("--png", type=FILE, metavar="FILE", help="write the code for the phone as an image, too")
@click.option("--key", metavar="LABEL", help="make a first key; an empty label makes none")
@click.option("--key-type", metavar="TYPE", help="of that key (default: SECP256R1)")
@yes_option("do not ask whether it is meant")
@json_option()
@exclusive("master_file", "master_passphrase")
@given
def command(options: Given) -> int:
    """Go through all steps."""
    from hem_provider.cli.init.flow import initialise

    return initialise(options)
