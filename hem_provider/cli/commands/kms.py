"""``hem kms``: keep the secrets of a Kubernetes cluster sealed by a key of the device (KMS v2).

The API server encrypts what it stores with keys of its own; this plugin seals the seed of these with an AES
key of the device, one call at its start and one at each rotation. It needs the extra "kms":
pip install 'hem-provider[kms]'.
"""

from __future__ import annotations

import click

from hem_provider.cli.candidates import key_labels
from hem_provider.cli.options import FILE, device_option, mobile_option
from hem_provider.cli.shape import Given, Group, given

__all__ = ["command"]

command = Group("kms", help=__doc__)


@command.command(
    "serve",
    help="serve a cluster's API server on a Unix socket, until it is stopped",
    example="hem kms serve --socket /run/hem/kms.sock --key cluster-2 --key cluster-1",
)
@click.option("--socket", type=FILE, required=True, metavar="FILE", help="where to listen")
@click.option(
    "--key",
    "keys",
    multiple=True,
    required=True,
    metavar="KEY",
    shell_complete=key_labels,
    help="an AES key made for 'aead'; of several, the first seals, and all open",
)
@device_option()
@mobile_option()
@given
def _serve(options: Given) -> int:
    from hem_provider.cli import kms_actions

    return kms_actions.serve(options)
