"""``hem exporter``: metrics of devices and of the agent, for Prometheus.

A device is asked when somebody reads the page and what is kept is older than the interval, and then once for
however many who read it. It listens on this machine alone, and tells no secrets, nor labels of keys unless
asked to.

Example: hem exporter --interval 60

    hem exporter --once
"""

from __future__ import annotations

import click

from hem_provider.cli.options import Whole, device_option
from hem_provider.cli.shape import Command, Given, given

__all__ = ["command"]

_LONGEST = 10_000_000


@click.command("exporter", cls=Command, help=__doc__)
@device_option("only this device, again for more; default: all that are configured", multiple=True)
@click.option(
    "--listen",
    default="127.0.0.1:9797",
    metavar="ADDRESS:PORT",
    help="where; port 0: any that is free (default 127.0.0.1:9797)",
)
@click.option("--network", is_flag=True, help="listen also where other machines reach it")
@click.option(
    "--interval",
    type=Whole(1, _LONGEST, "number of seconds"),
    default=30,
    metavar="SECONDS",
    help="ask a device no oftener (default 30)",
)
@click.option(
    "--self-test",
    type=Whole(0, _LONGEST, "number of seconds"),
    default=86_400,
    metavar="SECONDS",
    help="have it test itself no oftener; 0: never (default 86400)",
)
@click.option("--labels", is_flag=True, help="tell of each key, with its label")
@click.option("--once", is_flag=True, help="print the page instead of serving it")
@given
def command(options: Given) -> int:
    from hem_provider.cli import exporter_actions

    return exporter_actions.serve(options)
