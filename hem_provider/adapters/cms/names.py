"""Object identifiers of CMS (RFC 5652, RFC 5754), and digests by ``hashlib``'s names."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = [
    "CONTENT_TYPE",
    "DATA",
    "DIGESTS",
    "ECDSA_SIGNATURES",
    "EC_PUBLIC_KEY",
    "MESSAGE_DIGEST",
    "SIGNED_DATA",
    "SIGNING_TIME",
]

DATA, SIGNED_DATA = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2"
CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_TIME = (f"1.2.840.113549.1.9.{n}" for n in (3, 4, 5))
DIGESTS: Mapping[str, str] = MappingProxyType(
    {f"sha{bits}": f"2.16.840.1.101.3.4.2.{n}" for bits, n in ((256, 1), (384, 2), (512, 3))}
)
ECDSA_SIGNATURES: Mapping[str, str] = MappingProxyType(
    {f"sha{bits}": f"1.2.840.10045.4.3.{n}" for bits, n in ((256, 2), (384, 3), (512, 4))}
)
#: What some write in the place of a signature's algorithm.
EC_PUBLIC_KEY = "1.2.840.10045.2.1"
