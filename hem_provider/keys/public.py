"""Public keys: the device's form to native ``cryptography`` keys and back (device API §12)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hem_provider.errors import HemProtocolError
from hem_provider.keytypes import KeyType

__all__ = ["CURVES", "device_form", "load_public"]

#: Device type → curve.
CURVES: Mapping[str, ec.EllipticCurve] = {
    "SECP256R1": ec.SECP256R1(),
    "SECP384R1": ec.SECP384R1(),
    "SECP521R1": ec.SECP521R1(),
    "SECP256K1": ec.SECP256K1(),
}


def _point(curve: ec.EllipticCurve) -> Callable[[bytes], Any]:
    return lambda data: ec.EllipticCurvePublicKey.from_encoded_point(curve, data)


_LOADERS: Mapping[str, Callable[[bytes], Any]] = {
    **{name: _point(curve) for name, curve in CURVES.items()},
    "ED25519": ed25519.Ed25519PublicKey.from_public_bytes,
}


def load_public(key_type: KeyType, data: bytes) -> Any:
    """The native public key. ``HemProtocolError`` when ``data`` is not one of that type."""
    try:
        return _LOADERS[key_type.name](data)
    except ValueError as error:
        raise HemProtocolError(
            f"the device's {key_type.name} public key of {len(data)} bytes is not valid: {error}"
        ) from error


def device_form(public: Any) -> bytes:
    """A native public key as the device takes it: compressed point, or raw bytes."""
    if isinstance(public, ec.EllipticCurvePublicKey):
        return public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return bytes(public.public_bytes(Encoding.Raw, PublicFormat.Raw))
