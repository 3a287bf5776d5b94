"""``hem age``: keys for age, rage, sops and passage: recipients, and identities for the plugin.

age and its relatives encrypt to recipients without a device, and decrypt with identities: for those that
begin with AGE-PLUGIN-HEM- they start age-plugin-hem, which comes with hem and has to be on the PATH. An
identity names a device and a key and holds nothing secret.

A key is named by its label or KID; an MLKEM768 key together with a CURVE25519 or SECP256R1 key, both on the
device, as "KEY+KEY", which no quantum computer opens.
"""

from __future__ import annotations

from hem_provider.cli.candidates import key_labels
from hem_provider.cli.options import device_option, json_option, mobile_option, output_options
from hem_provider.cli.shape import Given, Group, argument, given

__all__ = ["command"]

command = Group("age", help=__doc__)

_names = argument(
    "names", nargs=-1, required=True, metavar="KEY...", shell_complete=key_labels, help="keys of the device"
)


@command.command(
    "recipient",
    help="print public keys as age has them, one a line",
    example="hem age recipient box >> team.txt",
)
@_names
@device_option()
@mobile_option()
@json_option()
@given
def _recipient(options: Given) -> int:
    from hem_provider.cli import age_actions

    return age_actions.recipient(options)


@command.command(
    "identity",
    help="print what age decrypts with: a device and a key by their names",
    example="hem age identity box -o key.txt",
)
@_names
@output_options()
@device_option()
@mobile_option()
@json_option()
@given
def _identity(options: Given) -> int:
    from hem_provider.cli import age_actions

    return age_actions.identity(options)
