"""Encodings of keys and signatures as Cryptoki wants them. Pure functions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from hem_pkcs11.constants import CKR
from hem_pkcs11.keykinds import KeyKind
from hem_pkcs11.returns import Pkcs11Error
from hem_provider.ecdsa import numbers
from hem_provider.keytypes import Family

__all__ = [
    "device_point",
    "fixed_from_der",
    "octet_string",
    "point_content",
    "public_key_info",
    "public_point",
]


def octet_string(content: bytes) -> bytes:
    """The DER OCTET STRING with ``content``.

    >>> octet_string(bytes(200))[:3].hex()
    '0481c8'
    """
    size = len(content)
    if size < 0x80:
        return bytes((0x04, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((0x04, 0x80 | len(length))) + length + content


def fixed_from_der(signature: bytes, size: int) -> bytes:
    """r‖s of ``size`` bytes together from the DER SEQUENCE of two INTEGERs the device gives.

    Each half keeps its leading zeros: one signature in 128 is short without them. Raises
    CKR_DEVICE_ERROR when it is no such sequence or does not fit.
    """
    half = size // 2
    try:
        return b"".join(number.to_bytes(half, "big") for number in numbers(signature))
    except (ValueError, OverflowError) as error:
        raise Pkcs11Error(
            CKR.DEVICE_ERROR, f"the device's signature is no ECDSA signature of {half}-byte numbers: {error}"
        ) from None


def public_point(public: Any) -> bytes:
    """CKA_EC_POINT: the DER OCTET STRING with the uncompressed point of a native EC key, or with
    the raw bytes of an RFC 8032 or RFC 7748 key."""
    if isinstance(public, bytes):
        return octet_string(public)
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if isinstance(public, ec.EllipticCurvePublicKey):
        return octet_string(public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
    return octet_string(public.public_bytes(Encoding.Raw, PublicFormat.Raw))


def public_key_info(public: Any) -> bytes:
    """CKA_PUBLIC_KEY_INFO: SubjectPublicKeyInfo in DER; empty, as the standard has it for what is
    not known, for a type that ``cryptography`` lacks (ML-KEM-512)."""
    if not hasattr(public, "public_bytes"):
        return b""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return bytes(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def point_content(value: bytes, sizes: Collection[int]) -> bytes:
    """The point within a CKA_EC_POINT or an ECDH parameter, which hosts give raw or as OCTET STRING.

    ``sizes``: of raw points of the key's type. They decide, since a raw point may well begin like
    an OCTET STRING. Raises CKR_ATTRIBUTE_VALUE_INVALID.
    """
    if len(value) in sizes:
        return value
    for head in (2, 3):
        content = value[head:]
        if len(content) in sizes and value == octet_string(content):
            return content
    raise Pkcs11Error(
        CKR.ATTRIBUTE_VALUE_INVALID,
        f"a public point of {len(value)} bytes; accepted: {' or '.join(map(str, sizes))}, raw or as "
        "DER OCTET STRING",
    )


def device_point(kind: KeyKind, value: bytes) -> bytes:
    """The device's form (compressed for EC) of a point as hosts give it.

    Raises CKR_ATTRIBUTE_VALUE_INVALID for what is no point of the curve.
    """
    size = kind.type.public_size or 0
    if kind.type.family is not Family.EC:
        return point_content(value, (size,))
    content = point_content(value, (size, 2 * size - 1))
    from cryptography.hazmat.primitives.asymmetric import ec

    from hem_provider.publickeys import curve, device_form

    try:
        return device_form(ec.EllipticCurvePublicKey.from_encoded_point(curve(kind.type.name), content))
    except ValueError:
        raise Pkcs11Error(
            CKR.ATTRIBUTE_VALUE_INVALID, f"{len(content)} bytes that are no point of {kind.curve_name}"
        ) from None
