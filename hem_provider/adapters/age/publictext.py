"""The recipient by which age encrypts to a key of the device (https://age-encryption.org/v1)."""

from __future__ import annotations

from collections.abc import Mapping

from hem_provider.adapters.age.bech32 import encode
from hem_provider.device.key import Key
from hem_provider.errors import HemOperationFailed

__all__ = ["PREFIXES", "recipient_text"]

#: The device's type of a key → the prefix of its recipients: age's own, and that of keys in hardware.
PREFIXES: Mapping[str, str] = {"CURVE25519": "age", "SECP256R1": "age1tag"}


def recipient_text(key: Key) -> str:
    """``age1…``, of an X25519 key, or ``age1tag1…``, of a P-256 key that agrees on secrets.

    ``HemOperationFailed`` for any other. Raises as ``Key.public_bytes`` does.
    """
    prefix, attributes = PREFIXES.get(key.type.name), key.attributes
    if prefix is None:
        raise HemOperationFailed(
            f"key {key.kid} ({key.label!r}): age has no recipients of {key.type.name}; it has them of "
            f"{', '.join(PREFIXES)}"
        )
    if attributes.private and not attributes.ecdh:
        raise HemOperationFailed(
            f"key {key.kid} ({key.label!r}) was not made for 'derive': what is encrypted to it could not be "
            "read"
        )
    return encode(prefix, key.public_bytes())
