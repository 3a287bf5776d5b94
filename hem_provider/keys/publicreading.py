"""Public keys as other programs write them, read into the device's form: the reverse of ``publicforms``."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from hem_provider.keys.publicforms import JOSE_CURVES
from hem_provider.keytypes import KEY_TYPES, Family, KeyType
from hem_provider.publickeys import check_agreeable, check_public, device_form, type_of

__all__ = ["MOST", "read_public"]

#: Largest file that is read, in bytes: an ML-KEM-1024 key in PEM has some 2 200.
MOST = 64 * 1024
_SSH = (b"ssh-", b"ecdsa-", b"sk-")
_FORMS = "PEM, DER, an SSH line and JWK"


def read_public(data: bytes, key_type: KeyType | None = None) -> tuple[KeyType, bytes]:
    """The type of a public key, and the key in the device's form.

    PEM and DER (RFC 5280 §4.1.2.7; in PEM a certificate, too), a line of SSH (RFC 4253 §6.6) and JWK (RFC
    7517) are told from each other; with ``key_type`` the bytes are the key itself: a point of SEC 1,
    compressed or not, or as its standard has it. ``ValueError`` for what is no such key, is one of a kind
    that devices have not, or a private one.
    """
    if key_type is not None:
        return _checked(key_type, _compressed(key_type, data))
    text = data.strip()
    if not text:
        raise ValueError("it is empty")
    native = _reader(data, text)(text if data[:1] != b"\x30" else data)
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        kind = type_of(native)
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from None
    return _checked(kind, device_form(native))


def _reader(data: bytes, text: bytes) -> Callable[[bytes], Any]:
    if text.startswith(b"-----BEGIN "):
        return _pem
    if text.startswith(b"{"):
        return _jwk
    if text.startswith(_SSH):
        return _ssh
    if data[:1] == b"\x30":
        return _der
    raise ValueError(f"it is no public key in a form that is known: {_FORMS}; for raw bytes say their type")


def _checked(kind: KeyType, data: bytes) -> tuple[KeyType, bytes]:
    (check_agreeable if kind.family is Family.MONTGOMERY else check_public)(kind, data)
    return kind, data


def _compressed(kind: KeyType, data: bytes) -> bytes:
    """EC points are stored compressed."""
    if kind.family is not Family.EC or data[:1] != b"\x04":
        return data
    from cryptography.hazmat.primitives.asymmetric import ec

    from hem_provider.publickeys import curve

    try:
        return device_form(ec.EllipticCurvePublicKey.from_encoded_point(curve(kind.name), data))
    except ValueError:
        raise ValueError(f"{len(data)} bytes that are no point of {kind.name}") from None


def _pem(text: bytes) -> Any:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    head = text.partition(b"\n")[0]
    if b"PRIVATE KEY" in text:
        raise ValueError(
            "it has a private key; a device takes public keys alone, and makes private ones itself"
        )
    if b"CERTIFICATE-----" in head:
        return _loaded(lambda: x509.load_pem_x509_certificate(text).public_key(), "certificate in PEM")
    return _loaded(lambda: load_pem_public_key(text), "public key in PEM")


def _der(data: bytes) -> Any:
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    return _loaded(lambda: load_der_public_key(data), "public key in DER")


def _ssh(text: bytes) -> Any:
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    lines = text.splitlines()
    if len(lines) > 1:
        raise ValueError(f"it has {len(lines)} lines; accepted: one public key of SSH")
    return _loaded(lambda: load_ssh_public_key(text), "public key of SSH")


def _jwk(text: bytes) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    from hem_provider.publickeys import curve, load_public

    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if not isinstance(document, dict):
        raise ValueError("it is no JWK, which is an object")  # noqa: TRY004 - a file's fault, not a caller's
    if "d" in document:
        raise ValueError(
            "it is a private JWK; a device takes public keys alone, and makes private ones itself"
        )
    wanted = document.get("kty"), document.get("crv")
    name = next((name for name, each in JOSE_CURVES.items() if each == wanted), None)
    if name is None:
        there = ", ".join(f"{kind} {crv}" for kind, crv in JOSE_CURVES.values())
        raise ValueError(f"its kty and crv are {wanted[0]!r} and {wanted[1]!r}; accepted: {there}")
    kind = KEY_TYPES[name]
    if kind.family is not Family.EC:
        return load_public(kind, _member(document, "x"))
    size = (kind.bits + 7) // 8
    numbers = [_member(document, each) for each in ("x", "y")]
    if any(len(each) != size for each in numbers):
        raise ValueError(
            f"its x and y have {len(numbers[0])} and {len(numbers[1])} bytes; {wanted[1]} has {size}"
        )
    x, y = (int.from_bytes(each, "big") for each in numbers)
    return _loaded(ec.EllipticCurvePublicNumbers(x, y, curve(name)).public_key, f"point of {wanted[1]}")


def _member(document: dict[str, Any], name: str) -> bytes:
    value: Any = document.get(name)
    try:
        return base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
    except (ValueError, TypeError, AttributeError):
        raise ValueError(f"its {name!r} is no base64url text") from None


def _loaded(load: Callable[[], Any], what: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.x509 import InvalidVersion

    try:
        return load()
    except UnsupportedAlgorithm as error:
        raise ValueError(f"its kind of key is not known here: {error}") from None
    except (ValueError, TypeError, NotImplementedError, InvalidVersion):
        raise ValueError(f"it is no {what}") from None
