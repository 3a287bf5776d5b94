"""Forms of a public key that other programs read."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from hem_provider.device.key import Key
from hem_provider.errors import HemOperationFailed
from hem_provider.keytypes import AES_WIDTHS, DIGESTS
from hem_provider.printable import printable
from hem_provider.publickeys import SSH_NAMES, ssh_blob
from hem_provider.records import frozen

__all__ = [
    "FORMS",
    "JOSE_CURVES",
    "JOSE_HMAC",
    "JOSE_SIGNING",
    "JOSE_WRAPPING",
    "Form",
    "check_parameters",
    "jwk",
    "pem",
    "ssh_line",
    "thumbprint",
]

#: Device type → ``kty`` and ``crv`` (RFC 7518 §6.2, RFC 8037 §2, RFC 8812 §3.1).
JOSE_CURVES: Mapping[str, tuple[str, str]] = {
    "SECP256R1": ("EC", "P-256"),
    "SECP384R1": ("EC", "P-384"),
    "SECP521R1": ("EC", "P-521"),
    "SECP256K1": ("EC", "secp256k1"),
    "ED25519": ("OKP", "Ed25519"),
    "ED448": ("OKP", "Ed448"),
    "CURVE25519": ("OKP", "X25519"),
    "CURVE448": ("OKP", "X448"),
}
#: Device type → ``alg`` of its signatures (RFC 7518 §3.4, RFC 8812 §3.2, RFC 8037 §3.1).
JOSE_SIGNING: Mapping[str, str] = {
    "SECP256R1": "ES256",
    "SECP384R1": "ES384",
    "SECP521R1": "ES512",
    "SECP256K1": "ES256K",
    "ED25519": "EdDSA",
    "ED448": "EdDSA",
}
#: Device type of a secret key → the one ``alg`` that it is for (RFC 7518 §3.2, §4.4). JOSE has no HMAC with
#: SHA-3.
JOSE_HMAC: Mapping[str, str] = {
    literal: name.replace("sha", "HS") for name, literal in DIGESTS.items() if not name.startswith("sha3-")
}
JOSE_WRAPPING: Mapping[str, str] = {f"AES{bits}": f"A{bits}KW" for bits in AES_WIDTHS}


@frozen
class Form:
    """``make``: the bytes of a key's public half; ``binary``: whether they are no text."""

    make: Callable[[Key], bytes]
    binary: bool = False


def pem(key: Key) -> bytes:
    """SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) in PEM. Raises as ``Key.public_bytes`` does;
    ``HemOperationFailed`` for a type that the installed ``cryptography`` does not have."""
    return _spki(key, "PEM")


def jwk(key: Key) -> dict[str, str]:
    """A JSON Web Key (RFC 7517) with the KID as ``kid``. ``HemOperationFailed`` for a type without one."""
    kty, crv = _known(JOSE_CURVES, key, "JWK")
    data = key.public_bytes()
    if kty == "EC":
        public: Any = key.public_key()
        size = (public.curve.key_size + 7) // 8
        numbers = public.public_numbers()
        coordinates = {"x": numbers.x.to_bytes(size, "big"), "y": numbers.y.to_bytes(size, "big")}
    else:
        coordinates = {"x": data}
    return {"kty": kty, "crv": crv, "kid": key.kid} | {
        name: base64.urlsafe_b64encode(value).rstrip(b"=").decode() for name, value in coordinates.items()
    }


def thumbprint(key: Key) -> str:
    """The SHA-256 of what a JWK needs to have, in base64url (RFC 7638 §3, RFC 8037 §2). Raises as ``jwk``."""
    needed = {name: value for name, value in jwk(key).items() if name != "kid"}
    text = json.dumps(needed, sort_keys=True, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b"=").decode()


def check_parameters(parameters: Mapping[str, Any], *own: str) -> None:
    """``ValueError`` where parameters of a JWK that a caller adds are some of its ``own``: the key's, which
    the device tells."""
    clash = [name for name in own if name in parameters]
    if clash:
        raise ValueError(f"parameters: {', '.join(clash)}, which the key itself says; accepted: others")


def _spki(key: Key, encoding: str) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key.public_bytes()  # which says of a key that has no public half
    try:
        public = key.public_key()
    except UnsupportedAlgorithm as error:
        raise HemOperationFailed(f"key {key.kid} ({key.label!r}): {error}; its raw form is there") from None
    return public.public_bytes(getattr(Encoding, encoding), PublicFormat.SubjectPublicKeyInfo)


def ssh_line(name: str, blob: bytes, label: str) -> str:
    """As in ``authorized_keys`` and ``.pub`` files: SSH's name of the type, the key, and the label without
    what could act on a terminal or end a line."""
    return f"{name} {base64.b64encode(blob).decode()} {printable(label)}"


def _ssh(key: Key) -> bytes:
    name = _known(SSH_NAMES, key, "SSH")
    return f"{ssh_line(name, ssh_blob(key.public_key()), key.label)}\n".encode()


def _known(table: Mapping[str, Any], key: Key, form: str) -> Any:
    found = table.get(key.type.name)
    if found is None:
        raise HemOperationFailed(
            f"key {key.kid} ({key.label!r}): {form} has no form for {key.type.name}; it has one for "
            f"{', '.join(table)}"
        )
    return found


#: Name of a form → how it is made.
FORMS: Mapping[str, Form] = {
    "pem": Form(pem),
    "der": Form(lambda key: _spki(key, "DER"), binary=True),
    "ssh": Form(_ssh),
    "jwk": Form(lambda key: f"{json.dumps(jwk(key))}\n".encode()),
    "raw": Form(lambda key: key.public_bytes(), binary=True),
}
