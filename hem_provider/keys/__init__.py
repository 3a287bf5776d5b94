"""HEM keys under ``cryptography``'s interfaces.

``private_key(key)`` gives the subclass for a key's type; ``public_key(key)`` a native public key.
Both are reached as ``key.private_key()`` and ``key.public_key()``. A family's module is imported
when its first key is asked for; ``hem_provider.keys.HemECPrivateKey`` and its kin work too.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import UnsupportedAlgorithm

from hem_provider.device.key import Key
from hem_provider.keys.public import CURVES, device_form, load_public, type_of

if TYPE_CHECKING:
    from hem_provider.keys.ec import HemECPrivateKey
    from hem_provider.keys.edwards import (
        Ed448ctx,
        Ed448ph,
        Ed25519ctx,
        Ed25519ph,
        HemEd448PrivateKey,
        HemEd25519PrivateKey,
    )
    from hem_provider.keys.keyset import KeySet
    from hem_provider.keys.mldsa import HemMLDSA44PrivateKey, HemMLDSA65PrivateKey, HemMLDSA87PrivateKey
    from hem_provider.keys.mlkem import HemMLKEM768PrivateKey, HemMLKEM1024PrivateKey
    from hem_provider.keys.mlkem512 import HemMLKEM512PrivateKey, HemMLKEM512PublicKey
    from hem_provider.keys.montgomery import HemX448PrivateKey, HemX25519PrivateKey

__all__ = [
    "CLASSES",
    "Ed448ctx",
    "Ed448ph",
    "Ed25519ctx",
    "Ed25519ph",
    "HemECPrivateKey",
    "HemEd448PrivateKey",
    "HemEd25519PrivateKey",
    "HemMLDSA44PrivateKey",
    "HemMLDSA65PrivateKey",
    "HemMLDSA87PrivateKey",
    "HemMLKEM512PrivateKey",
    "HemMLKEM512PublicKey",
    "HemMLKEM768PrivateKey",
    "HemMLKEM1024PrivateKey",
    "HemX448PrivateKey",
    "HemX25519PrivateKey",
    "KeySet",
    "device_form",
    "load_public",
    "private_key",
    "public_key",
    "type_of",
]

#: Device type → (module, class) of its private key.
CLASSES: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(CURVES, ("ec", "HemECPrivateKey")),
    "ED25519": ("edwards", "HemEd25519PrivateKey"),
    "ED448": ("edwards", "HemEd448PrivateKey"),
    "CURVE25519": ("montgomery", "HemX25519PrivateKey"),
    "CURVE448": ("montgomery", "HemX448PrivateKey"),
    "MLDSA44": ("mldsa", "HemMLDSA44PrivateKey"),
    "MLDSA65": ("mldsa", "HemMLDSA65PrivateKey"),
    "MLDSA87": ("mldsa", "HemMLDSA87PrivateKey"),
    "MLKEM512": ("mlkem512", "HemMLKEM512PrivateKey"),
    "MLKEM768": ("mlkem", "HemMLKEM768PrivateKey"),
    "MLKEM1024": ("mlkem", "HemMLKEM1024PrivateKey"),
}

_MODULES = {
    **{name: module for module, name in CLASSES.values()},
    "HemMLKEM512PublicKey": "mlkem512",
    "KeySet": "keyset",
    **dict.fromkeys(("Ed25519ph", "Ed25519ctx", "Ed448ctx", "Ed448ph"), "edwards"),
}


def private_key(key: Key) -> Any:
    """The private key object of ``key``; no I/O for a key whose type is known.

    ``UnsupportedAlgorithm`` for a type without one, for a record without a private half, and for
    a type that this ``cryptography`` does not know.
    """
    kind = key.type
    if kind.name not in CLASSES:
        raise UnsupportedAlgorithm(f"key {key.kid}: {kind.name} keys have no private key object")
    known = key.known_attributes
    if known is not None and not known.private:
        raise UnsupportedAlgorithm(f"key {key.kid} is a public key; its private half is not on the device")
    return _class(CLASSES[kind.name][1])(key)


def public_key(key: Key) -> Any:
    """The native public key of ``key``; asks the device once when it is not known.

    ``UnsupportedAlgorithm`` where this ``cryptography`` has no class for the type; an ML-KEM-512 key is one
    of ours. Else what ``Key.public_bytes`` raises.
    """
    if key.type.name == "MLKEM512":
        return _class("HemMLKEM512PublicKey")(key)
    return load_public(key.type, key.public_bytes())


def _class(name: str) -> Any:
    try:
        return getattr(importlib.import_module(f"hem_provider.keys.{_MODULES[name]}"), name)
    except ImportError as error:
        import cryptography

        raise UnsupportedAlgorithm(
            f"{name} needs cryptography 47 or newer; this is {cryptography.__version__}"
        ) from error


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return _class(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
