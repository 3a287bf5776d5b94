"""What OpenSSL reads of ours: configurations that load engine or provider, and files that name keys.

The provider is pkcs11-provider, which is not ours. The engine is; it ends with OpenSSL 4.0 (April 2026),
which has no engine API.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path
from uuid import UUID

from hem_provider.cli.built import module_path
from hem_provider.device.keyuri import is_uri, uri_of
from hem_provider.errors import HemConfigError
from hem_provider.keytypes import KID_FORM

__all__ = [
    "ENGINE_IDS",
    "configuration",
    "engine_path",
    "key_file",
    "provider_configuration",
    "provider_key_file",
    "provider_name",
]

LIBRARY = "libhem_engine.so"
#: The names the engine can be loaded by.
ENGINE_IDS = ("hem", "pkcs11")
_NAME_MAX = 4096


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
# OpenSSL before 4.0 with the engine of hem-provider. Use it by OPENSSL_CONF=this-file.
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


def provider_name(name: str) -> str:
    """The URI by which pkcs11-provider finds the private key that a person calls ``name``: a URI as it is,
    else that of a label. Nothing is asked of a device.

    Raises ``HemConfigError`` for a KID, since an application may have given that key another id.
    """
    if is_uri(name):
        return name
    if re.fullmatch(KID_FORM, name.lower()):
        raise HemConfigError(
            f"pkcs11-provider does not know KIDs; 'hem openssl uri {name}' asks the device for the key's URI"
        )
    return uri_of(object=name, type="private")


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
