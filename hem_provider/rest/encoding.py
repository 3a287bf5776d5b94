"""Base64 as the device API writes and reads it (device API §2.1)."""

from __future__ import annotations

import base64
import binascii

__all__ = ["b64", "b64url", "unb64", "unb64url"]

_TO_STANDARD = str.maketrans("-_", "+/")


def b64(data: bytes) -> str:
    """Standard alphabet with padding: the form of JSON fields and of claims inside JWTs."""
    return base64.b64encode(data).decode("ascii")


def b64url(data: bytes) -> str:
    """URL-safe alphabet without padding: the form of JWT segments."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64(text: str) -> bytes:
    """Decode either alphabet, padded or not. Raises ``ValueError`` for anything else."""
    try:
        plain = text.translate(_TO_STANDARD).rstrip("=").encode("ascii")
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError("not base64") from None


#: JWT segments need no decoder of their own: ``unb64`` takes both alphabets.
unb64url = unb64
