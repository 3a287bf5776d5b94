"""``hem pkcs11``: the PKCS#11 module: path, state, p11-kit, self-test."""

from __future__ import annotations

import click

from hem_provider.cli.built import MODULE, module_path
from hem_provider.cli.options import FILE, device_option
from hem_provider.cli.shape import Given, Group, given

__all__ = ["command"]

command = Group("pkcs11", help=__doc__)


@command.command(
    "path",
    help=f"print the path of {MODULE}",
    example='pkcs11-tool --module "$(hem pkcs11 path)" --list-slots',
)
def _path() -> int:
    print(module_path())
    return 0


@command.command(
    "info", help="print versions, slots, and whether each device answers", example="hem pkcs11 info"
)
def _info() -> int:
    from hem_provider.cli.pkcs11_info import print_info

    return print_info(module_path())


@command.command(
    "install", help="tell p11-kit, and so GnuTLS and others, of the module", example="hem pkcs11 install"
)
@click.option(
    "--directory",
    type=FILE,
    metavar="DIR",
    help="default: $XDG_CONFIG_HOME/pkcs11/modules (~/.config when unset); as root /etc/pkcs11/modules",
)
@click.option("--force", is_flag=True, help="replace a file that was not written by this")
@given
def _install(options: Given) -> int:
    from hem_provider.cli.pkcs11_install import default_directory, install

    file = install(module_path(), options.directory or default_directory(), force=options.force)
    print(f"{file} names the module to p11-kit; 'p11-kit list-modules' shows it. To undo: rm {file}")
    return 0


@command.command(
    "test",
    help="make a key through the module, use it, and delete it",
    example="hem pkcs11 test --device office",
)
@device_option()
@given
def _test(options: Given) -> int:
    from hem_provider.cli.pkcs11_selftest import self_test

    return self_test(module_path(), options.device)
