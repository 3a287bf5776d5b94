"""``hem openssl``: where the OpenSSL engine is, and how OpenSSL loads it."""

from __future__ import annotations

import base64
from pathlib import Path
from uuid import UUID

import click

from hem_provider.cli.built import module_path
from hem_provider.cli.candidates import key_labels
from hem_provider.cli.options import FILE
from hem_provider.cli.shape import Given, Group, argument, given
from hem_provider.errors import HemConfigError

__all__ = [
    "ENGINE_IDS",
    "command",
    "configuration",
    "engine_path",
    "key_file",
    "provider_configuration",
    "provider_key_file",
]

LIBRARY = "libhem_engine.so"
#: The names the engine can be loaded by.
ENGINE_IDS = ("hem", "pkcs11")
_NAME_MAX = 4096


command = Group("openssl", help=__doc__)


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


def provider_configuration(provider: Path, module: Path) -> str:
    """A whole openssl.cnf that loads pkcs11-provider from ``provider`` over our ``module``.

    Raises ``HemConfigError`` when there is no such file.
    """
    if not provider.is_file():
        raise HemConfigError(f"there is no provider {provider}: give the path of pkcs11-provider's pkcs11.so")
    return f"""\
# OpenSSL 3 with pkcs11-provider over hem-provider's module. Use it by OPENSSL_CONF=this-file.
openssl_conf = hem_openssl

[hem_openssl]
providers = hem_providers

[hem_providers]
default = default_provider
pkcs11 = pkcs11_provider

[default_provider]
activate = 1

[pkcs11_provider]
module = {provider.resolve()}
pkcs11-module-path = {module}
activate = 1

[req]
distinguished_name = req_distinguished_name

[req_distinguished_name]
"""


def key_file(name: str) -> str:
    """PEM that OpenSSL with the engine loaded reads as the key ``name``: PKCS#8 (RFC 5958) with an
    algorithm of our own and the name as the key.

    Raises ``HemConfigError`` unless ``name`` has 1 to 4096 bytes of UTF-8 without NUL.
    """
    version, algorithm = _der(0x02, b"\0"), _der(0x30, _der(0x06, _ALGORITHM))
    return _pem_file("PRIVATE KEY", version + algorithm + _der(0x04, _checked(name)))


def provider_key_file(uri: str) -> str:
    """PEM that pkcs11-provider 0.6 and newer reads as the private key that ``uri`` names.

    Raises ``HemConfigError`` unless it is a pkcs11: URI of at most 4096 bytes.
    """
    content = _checked(uri)
    if not uri.lower().startswith("pkcs11:"):
        raise HemConfigError(f"pkcs11-provider knows keys by pkcs11: URIs only, and this is {uri!r}")
    return _pem_file("PKCS#11 PROVIDER URI", _der(0x1A, b"PKCS#11 Provider URI v1.0") + _der(0x0C, content))


def _checked(name: str) -> bytes:
    content = name.encode("utf-8", "surrogateescape")
    if not 0 < len(content) <= _NAME_MAX or b"\0" in content:
        raise HemConfigError(
            f"the name of a key has 1 to {_NAME_MAX} bytes and no NUL; this one has {len(content)} bytes"
        )
    return content


def _pem_file(label: str, content: bytes) -> str:
    """A DER SEQUENCE of ``content`` in PEM (RFC 7468)."""
    body = base64.b64encode(_der(0x30, content)).decode()
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


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


@command.command(
    "path", help=f"print the path of {LIBRARY}", example='openssl engine -t "$(hem openssl path)"'
)
def _path() -> int:
    print(engine_path())
    return 0


@command.command(
    "config",
    help="print an openssl.cnf that loads the engine, or a provider",
    example="hem openssl config > hem.cnf",
)
@click.option(
    "--id",
    type=click.Choice(ENGINE_IDS),
    default=ENGINE_IDS[0],
    help="what OpenSSL calls the engine; pkcs11 is for programs that know no other (Apache)",
)
@click.option("--provider", type=FILE, metavar="FILE", help="load this pkcs11-provider instead of the engine")
@given
def _config(options: Given) -> int:
    if options.provider is not None:
        print(provider_configuration(options.provider, module_path()), end="")
    else:
        print(configuration(engine_path(), options.id), end="")
    return 0


@command.command(
    "pem",
    help="print a key file that names a key, for programs that read files",
    example="hem openssl pem web > web.key",
)
@click.option("--provider", is_flag=True, help="for pkcs11-provider, not for the engine")
@argument(
    "name", metavar="NAME", shell_complete=key_labels, help="pkcs11: URI; for the engine also KID or label"
)
@given
def _pem(options: Given) -> int:
    print(provider_key_file(options.name) if options.provider else key_file(options.name), end="")
    return 0
