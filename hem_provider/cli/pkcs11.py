"""``hem pkcs11``: where the PKCS#11 module is, for tools that want its path."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

from hem_provider.errors import HemConfigError

__all__ = ["add_parser", "module_path"]

LIBRARY = "libhem_pkcs11.so"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``hem pkcs11 path``."""
    parser = commands.add_parser("pkcs11", help="where the PKCS#11 module is")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    path = actions.add_parser("path", help=f"print the path of {LIBRARY}")
    path.set_defaults(func=_path)


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
