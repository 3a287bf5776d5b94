"""``hem openssl``: where the OpenSSL engine is, the configuration that loads it, files that name keys."""

from __future__ import annotations

import argparse
import base64
from pathlib import Path
from uuid import UUID

from hem_provider.cli.pkcs11 import module_path
from hem_provider.errors import HemConfigError

__all__ = ["add_parser", "configuration", "engine_path"]

LIBRARY = "libhem_engine.so"
#: The names the engine can be loaded by.
ENGINE_IDS = ("hem", "pkcs11")
_NAME_MAX = 4096


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``hem openssl path``, ``config`` and ``pem``."""
    parser = commands.add_parser("openssl", help="where the OpenSSL engine is, and how OpenSSL loads it")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    path = actions.add_parser("path", help=f"print the path of {LIBRARY}")
    path.set_defaults(func=_path)
    config = actions.add_parser("config", help="print an openssl.cnf that loads the engine")
    config.add_argument(
        "--id",
        choices=ENGINE_IDS,
        default=ENGINE_IDS[0],
        help="what OpenSSL calls the engine; pkcs11 is for programs that know no other (Apache)",
    )
    config.set_defaults(func=_config)
    pem = actions.add_parser(
        "pem", help="print a key file that names an EC key, for programs without engines"
    )
    pem.add_argument("name", metavar="NAME", help="pkcs11: URI, KID or label")
    pem.set_defaults(func=_pem)


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


def configuration(engine: Path, engine_id: str = ENGINE_IDS[0]) -> str:
    """A whole openssl.cnf (OpenSSL's config(5)) that loads ``engine`` and calls it ``engine_id``."""
    return f"""\
# OpenSSL with the engine of hem-provider. Use it by OPENSSL_CONF=this-file.
openssl_conf = hem_openssl

[hem_openssl]
engines = hem_engines

[hem_engines]
{engine_id} = hem_engine

[hem_engine]
engine_id = dynamic
SO_PATH = {engine}
ID = {engine_id}
LIST_ADD = 1
LOAD = EMPTY
default_algorithms = ALL
init = 1

[req]
distinguished_name = req_distinguished_name

[req_distinguished_name]
"""


def key_file(name: str) -> str:
    """PEM that OpenSSL with the engine loaded reads as the key ``name``: PKCS#8 (RFC 5958) with an
    algorithm of our own and the name as the key.

    Raises ``HemConfigError`` unless ``name`` has 1 to 4096 bytes of UTF-8 without NUL.
    """
    content = name.encode("utf-8", "surrogateescape")
    if not 0 < len(content) <= _NAME_MAX or b"\0" in content:
        raise HemConfigError(
            f"the name of a key has 1 to {_NAME_MAX} bytes and no NUL; this one has {len(content)} bytes"
        )
    version, algorithm = _der(0x02, b"\0"), _der(0x30, _der(0x06, _ALGORITHM))
    body = base64.b64encode(_der(0x30, version + algorithm + _der(0x04, content))).decode()
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    return "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----", ""])


def _der(tag: int, content: bytes) -> bytes:
    """One DER element (ITU-T X.690) of less than 64 KiB."""
    size = len(content)
    if size < 0x80:
        length = bytes([size])
    elif size < 0x100:
        length = bytes([0x81, size])
    else:
        length = bytes([0x82]) + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


def _arc(number: int) -> bytes:
    """An arc of an object identifier: seven bits a byte, all but the last with the top bit set."""
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(number & 0x7F | 0x80)
    return bytes(reversed(digits))


#: 2.25 is the arc for UUIDs (ITU-T X.667); the engine has the same.
_ALGORITHM = _arc(2 * 40 + 25) + _arc(UUID("5c1b2f0e-7d8a-4b43-9c5e-2f6f6b0d91a7").int)


def _path(_options: argparse.Namespace) -> int:
    print(engine_path())
    return 0


def _config(options: argparse.Namespace) -> int:
    print(configuration(engine_path(), options.id), end="")
    return 0


def _pem(options: argparse.Namespace) -> int:
    print(key_file(options.name), end="")
    return 0
