"""The recipient by which age encrypts to a key of the device (https://age-encryption.org/v1)."""

from __future__ import annotations

from hem_provider.adapters.age.kinds import KINDS
from hem_provider.adapters.age.recipients import Recipient
from hem_provider.device.key import Key
from hem_provider.errors import HemOperationFailed

__all__ = ["recipient_text"]


def recipient_text(key: Key) -> str:
    """``age1…``, of an X25519 key, or ``age1tag1…``, of a P-256 key that agrees on secrets; also of one
    whose private half is elsewhere.

    ``HemOperationFailed`` for any other. Raises as ``Key.public_bytes`` does.
    """
    kinds = {each.curve: each for each in KINDS if not each.hybrid}
    kind, attributes = kinds.get(key.type.name), key.attributes
    if kind is None:
        raise HemOperationFailed(
            f"key {key.kid} ({key.label!r}): age has no recipients of {key.type.name}; it has them of "
            f"{', '.join(kinds)}"
        )
    if attributes.private and not attributes.ecdh:
        raise HemOperationFailed(
            f"key {key.kid} ({key.label!r}) was not made for 'derive': what is encrypted to it could not be "
            "read"
        )
    return str(Recipient(kind, key.public_bytes()))
