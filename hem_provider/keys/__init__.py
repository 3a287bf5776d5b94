"""HEM keys under ``cryptography``'s interfaces.

``private_key(key)`` gives the subclass for a key's type; ``public_key(key)`` a native public key.
Both are reached as ``key.private_key()`` and ``key.public_key()``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm

from hem_provider.key import Key
from hem_provider.keys.ec import HemECPrivateKey
from hem_provider.keys.edwards import HemEd25519PrivateKey
from hem_provider.keys.public import CURVES, device_form, load_public

__all__ = [
    "HemECPrivateKey",
    "HemEd25519PrivateKey",
    "device_form",
    "load_public",
    "private_key",
    "public_key",
]

_CLASSES: Mapping[str, Callable[[Key], Any]] = {
    **dict.fromkeys(CURVES, HemECPrivateKey),
    "ED25519": HemEd25519PrivateKey,
}


def private_key(key: Key) -> Any:
    """The private key object of ``key``; no I/O for a key whose type is known.

    ``UnsupportedAlgorithm`` for a type without one, and for a record without a private half.
    """
    kind = key.type
    make = _CLASSES.get(kind.name)
    if make is None:
        raise UnsupportedAlgorithm(f"key {key.kid}: {kind.name} keys have no private key object")
    known = key.known_attributes
    if known is not None and not known.private:
        raise UnsupportedAlgorithm(f"key {key.kid} is a public key; its private half is not on the device")
    return make(key)


def public_key(key: Key) -> Any:
    """The native public key of ``key``; asks the device once when it is not known."""
    return load_public(key.type, key.public_bytes())
