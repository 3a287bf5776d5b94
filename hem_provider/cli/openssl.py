"""``hem openssl``: where the OpenSSL engine is, and the configuration that loads it."""

from __future__ import annotations

import argparse
from pathlib import Path

from hem_provider.cli.pkcs11 import module_path
from hem_provider.errors import HemConfigError

__all__ = ["add_parser", "configuration", "engine_path"]

LIBRARY = "libhem_engine.so"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``hem openssl path`` and ``hem openssl config``."""
    parser = commands.add_parser("openssl", help="where the OpenSSL engine is, and how OpenSSL loads it")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    path = actions.add_parser("path", help=f"print the path of {LIBRARY}")
    path.set_defaults(func=_path)
    config = actions.add_parser("config", help="print an openssl.cnf that loads the engine")
    config.set_defaults(func=_config)


def engine_path() -> Path:
    """The compiled engine of this installation; it lies beside the PKCS#11 module.

    Raises ``HemConfigError`` when it was installed without it (a source tree that is not built).
    """
    library = module_path().with_name(LIBRARY)
    if library.is_file():
        return library
    raise HemConfigError(
        f"{LIBRARY} is not built; looked in {library.parent}. In a source tree run: make setup"
    )


def configuration(engine: Path) -> str:
    """A whole openssl.cnf (OpenSSL's config(5)) that loads ``engine``."""
    return f"""\
# OpenSSL with the engine of hem-provider. Use it by OPENSSL_CONF=this-file.
openssl_conf = hem_openssl

[hem_openssl]
engines = hem_engines

[hem_engines]
hem = hem_engine

[hem_engine]
engine_id = hem
dynamic_path = {engine}
default_algorithms = ALL
init = 1

[req]
distinguished_name = req_distinguished_name

[req_distinguished_name]
"""


def _path(_options: argparse.Namespace) -> int:
    print(engine_path())
    return 0


def _config(_options: argparse.Namespace) -> int:
    print(configuration(engine_path()), end="")
    return 0
