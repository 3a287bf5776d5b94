"""Public keys: the device's form to native ``cryptography`` keys and back (device API §12), and KIDs."""

from __future__ import annotations

import base64
import hashlib
import importlib
from collections.abc import Mapping
from typing import Any

from hem_provider.keytypes import KEY_TYPES, KID_DIGITS, Family, KeyType

__all__ = [
    "SSH_NAMES",
    "check_agreeable",
    "check_public",
    "curve",
    "device_form",
    "kid_of",
    "load_public",
    "native_class",
    "ssh_blob",
    "type_of",
]

#: Device type → module and class of ``cryptography.hazmat.primitives.asymmetric``. Those of ML-DSA and
#: ML-KEM came with version 47; ML-KEM-512 is in none.
_RAW = {
    "ED25519": ("ed25519", "Ed25519"),
    "ED448": ("ed448", "Ed448"),
    "CURVE25519": ("x25519", "X25519"),
    "CURVE448": ("x448", "X448"),
    **{f"MLDSA{number}": ("mldsa", f"MLDSA{number}") for number in (44, 65, 87)},
    **{f"MLKEM{number}": ("mlkem", f"MLKEM{number}") for number in (512, 768, 1024)},
}

#: The device's types that SSH has → SSH's names of them (RFC 5656 §3.1, RFC 8709 §4).
SSH_NAMES: Mapping[str, str] = {
    "SECP256R1": "ecdsa-sha2-nistp256",
    "SECP384R1": "ecdsa-sha2-nistp384",
    "SECP521R1": "ecdsa-sha2-nistp521",
    "ED25519": "ssh-ed25519",
}


def kid_of(public: bytes) -> str:
    """The KID of a public key in device form: SHA-1, first 16 bytes, as 32 hex digits (device API §11.2)."""
    return hashlib.sha1(public, usedforsecurity=False).hexdigest()[:KID_DIGITS]


def curve(name: str) -> Any:
    """``cryptography``'s curve for one of the four SECP types."""
    from cryptography.hazmat.primitives.asymmetric import ec

    return getattr(ec, name)()


def native_class(name: str, half: str) -> Any:
    """``native_class("MLDSA65", "PublicKey")`` is ``mldsa.MLDSA65PublicKey``; ``None`` for an EC or
    symmetric type, and where the installed ``cryptography`` has no such class."""
    module, prefix = _RAW.get(name, ("", ""))
    if not module:
        return None
    try:
        found = importlib.import_module(f"cryptography.hazmat.primitives.asymmetric.{module}")
    except ImportError:
        return None
    return getattr(found, f"{prefix}{half}", None)


def load_public(key_type: KeyType, data: bytes) -> Any:
    """The native public key of ``data`` in device form.

    ``ValueError`` when ``data`` is not one of that type; ``UnsupportedAlgorithm`` when this
    ``cryptography`` has no class for it.
    """
    _check_size(key_type, data)
    try:
        if key_type.family is Family.EC:
            from cryptography.hazmat.primitives.asymmetric import ec

            return ec.EllipticCurvePublicKey.from_encoded_point(curve(key_type.name), data)
        kind = native_class(key_type.name, "PublicKey")
        if kind is not None:
            return kind.from_public_bytes(data)
    except ValueError as error:
        raise ValueError(f"{len(data)} bytes that are no {key_type.name} public key: {error}") from None
    from cryptography.exceptions import UnsupportedAlgorithm

    raise UnsupportedAlgorithm(f"{key_type.name}: this cryptography has no such public key")


def check_public(key_type: KeyType, data: bytes) -> None:
    """``ValueError`` unless ``data`` is a public key of that type, as far as can be told here."""
    _check_size(key_type, data)
    if key_type.family is Family.EC or native_class(key_type.name, "PublicKey") is not None:
        load_public(key_type, data)


def check_agreeable(key_type: KeyType, data: bytes) -> None:
    """``ValueError`` unless ``data`` is a public key that gives a secret: of the curve, and for X25519
    and X448 not of small order (RFC 7748 §6), with which every secret is zero."""
    public = load_public(key_type, data)
    if key_type.family is Family.MONTGOMERY:
        try:
            native_class(key_type.name, "PrivateKey").generate().exchange(public)
        except ValueError:
            raise ValueError(
                f"{len(data)} bytes that are no {key_type.name} public key: a point of small order"
            ) from None


def device_form(public: Any) -> bytes:
    """A native public key as the device takes it: compressed point, or raw bytes."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if isinstance(public, ec.EllipticCurvePublicKey):
        return public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return bytes(public.public_bytes(Encoding.Raw, PublicFormat.Raw))


def type_of(public: Any) -> KeyType:
    """The device's type for a native public key. ``UnsupportedAlgorithm`` when it has none."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec

    if isinstance(public, ec.EllipticCurvePublicKey):
        names = [
            each.name
            for each in KEY_TYPES.values()
            if each.family is Family.EC and curve(each.name).name == public.curve.name
        ]
    else:
        kinds = {name: native_class(name, "PublicKey") for name in _RAW}
        names = [name for name, kind in kinds.items() if kind is not None and isinstance(public, kind)]
    if not names:
        raise UnsupportedAlgorithm(f"the device has no keys of the kind {type(public).__name__}")
    return KEY_TYPES[names[0]]


def _check_size(key_type: KeyType, data: bytes) -> None:
    if len(data) != key_type.public_size:
        wanted = key_type.public_size or "no public half"
        raise ValueError(f"{len(data)} bytes that are no {key_type.name} public key, which has {wanted}")


def ssh_blob(native: Any) -> bytes:
    """A native public key of one of ``SSH_NAMES`` as SSH has it (RFC 5656 §3.1, RFC 8709 §4)."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    line = native.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return base64.b64decode(line.split()[1])
