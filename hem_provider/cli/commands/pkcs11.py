"""``hem pkcs11``: where the PKCS#11 module is, what it would serve, p11-kit, and a self-test."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

from hem_provider.cli.paths import path_argument
from hem_provider.errors import HemConfigError

__all__ = ["add_parser", "module_path"]

LIBRARY = "libhem_pkcs11.so"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``hem pkcs11 path``, ``info``, ``install`` and ``test``."""
    parser = commands.add_parser("pkcs11", help="the PKCS#11 module: path, state, p11-kit, self-test")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    path = actions.add_parser("path", help=f"print the path of {LIBRARY}")
    path.set_defaults(func=_path)
    info = actions.add_parser("info", help="print versions, slots, and whether each device answers")
    info.set_defaults(func=_info)
    install = actions.add_parser("install", help="tell p11-kit, and so GnuTLS and others, of the module")
    install.add_argument(
        "--directory",
        type=path_argument,
        metavar="DIR",
        help="default: $XDG_CONFIG_HOME/pkcs11/modules (~/.config when unset); as root /etc/pkcs11/modules",
    )
    install.add_argument("--force", action="store_true", help="replace a file that was not written by this")
    install.set_defaults(func=_install)
    test = actions.add_parser("test", help="make a key through the module, use it, and delete it")
    test.add_argument("--device", metavar="NAME", help="configured device, if there are several")
    test.set_defaults(func=_test)


def module_path() -> Path:
    """The compiled module of this installation.

    Raises ``HemConfigError`` when it was installed without it (a source tree that is not built).
    """
    spec = find_spec("hem_pkcs11")
    places = list(spec.submodule_search_locations or ()) if spec else []
    for place in places:
        library = Path(place) / LIBRARY
        if library.is_file():
            return library
    raise HemConfigError(
        f"{LIBRARY} is not built; looked in {', '.join(places) or 'no place'}. "
        "In a source tree run: make setup"
    )


def _path(_options: argparse.Namespace) -> int:
    print(module_path())
    return 0


def _info(_options: argparse.Namespace) -> int:
    from hem_provider.cli.pkcs11_info import print_info

    return print_info(module_path())


def _install(options: argparse.Namespace) -> int:
    from hem_provider.cli.pkcs11_install import default_directory, install

    file = install(module_path(), options.directory or default_directory(), force=options.force)
    print(f"{file} names the module to p11-kit; 'p11-kit list-modules' shows it. To undo: rm {file}")
    return 0


def _test(options: argparse.Namespace) -> int:
    from hem_provider.cli.pkcs11_selftest import self_test

    return self_test(module_path(), options.device)
