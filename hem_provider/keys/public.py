"""Public keys: the device's form to native ``cryptography`` keys and back (device API §12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, x448, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hem_provider.errors import HemProtocolError
from hem_provider.keys.postquantum import native_class
from hem_provider.keytypes import KEY_TYPES, KeyType

__all__ = ["CURVES", "device_form", "load_public", "type_of"]

#: Device type → curve.
CURVES: Mapping[str, ec.EllipticCurve] = {
    "SECP256R1": ec.SECP256R1(),
    "SECP384R1": ec.SECP384R1(),
    "SECP521R1": ec.SECP521R1(),
    "SECP256K1": ec.SECP256K1(),
}


#: Device type → native class of raw public keys.
_RAW: Mapping[str, Any] = {
    "ED25519": ed25519.Ed25519PublicKey,
    "ED448": ed448.Ed448PublicKey,
    "CURVE25519": x25519.X25519PublicKey,
    "CURVE448": x448.X448PublicKey,
}


def load_public(key_type: KeyType, data: bytes) -> Any:
    """The native public key of a device's ``data``.

    ``HemProtocolError`` when ``data`` is not one of that type; ``UnsupportedAlgorithm`` when this
    ``cryptography`` has no class for it.
    """
    try:
        if key_type.name in CURVES:
            return ec.EllipticCurvePublicKey.from_encoded_point(CURVES[key_type.name], data)
        kind = _RAW.get(key_type.name) or native_class(key_type.name, "PublicKey")
        if kind is None:
            raise UnsupportedAlgorithm(f"{key_type.name}: this cryptography has no such public key")
        return kind.from_public_bytes(data)
    except ValueError as error:
        raise HemProtocolError(
            f"the device's {key_type.name} public key of {len(data)} bytes is not valid: {error}"
        ) from error


def device_form(public: Any) -> bytes:
    """A native public key as the device takes it: compressed point, or raw bytes."""
    if isinstance(public, ec.EllipticCurvePublicKey):
        return public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return bytes(public.public_bytes(Encoding.Raw, PublicFormat.Raw))


def type_of(public: Any) -> KeyType:
    """The device's type for a native public key. ``UnsupportedAlgorithm`` when it has none."""
    if isinstance(public, ec.EllipticCurvePublicKey):
        names = [name for name, curve in CURVES.items() if curve.name == public.curve.name]
    else:
        kinds = {**{name: native_class(name, "PublicKey") for name in KEY_TYPES}, **_RAW}
        names = [name for name, kind in kinds.items() if kind is not None and isinstance(public, kind)]
    if not names:
        raise UnsupportedAlgorithm(f"the device has no keys of the kind {type(public).__name__}")
    return KEY_TYPES[names[0]]
