"""CMS signatures of files (RFC 5652, RFC 5753): ``writing`` makes them, ``reading`` reads and checks them,
``trust`` holds the signer's certificate against an authority.

What the device signs are the attributes, which hold the file's digest: so a file may have any size. EC keys:
OpenSSL 3.0 verifies no CMS signature by Ed25519 or Ed448 (RFC 8419).
"""

from __future__ import annotations

from hem_provider.adapters.cms.names import DIGESTS
from hem_provider.keytypes import KEY_TYPES, Family

__all__ = ["DIGESTS", "TYPES"]

#: The device's types that sign.
TYPES = tuple(name for name, kind in KEY_TYPES.items() if kind.family is Family.EC)
