"""CMS signatures of files (RFC 5652, RFC 5753): ``writing`` makes them, ``reading`` reads and checks them,
``trust`` holds the signer's certificate against an authority.

What the device signs are the attributes, which hold the file's digest: so a file may have any size. EC keys:
OpenSSL 3.0 verifies no CMS signature by Ed25519 or Ed448 (RFC 8419).
"""

from __future__ import annotations

import re

from hem_provider.adapters.cms.names import DIGESTS
from hem_provider.keytypes import KEY_TYPES, Family

__all__ = ["BEGINNING", "DIGESTS", "TYPES", "is_attributes"]

#: The device's types that sign.
TYPES = tuple(name for name, kind in KEY_TYPES.items() if kind.family is Family.EC)
#: Bytes of a file that ``is_attributes`` needs.
BEGINNING = 128
#: A SET whose first element is a SEQUENCE of an OBJECT IDENTIFIER and a SET; lengths have up to 5 bytes.
_ATTRIBUTES = re.compile(
    rb"\x31(?:[\0-\x80]|\x81.|\x82..|\x83...|\x84....)\x30(?:[\0-\x80]|\x81.|\x82..|\x83...|\x84....)"
    rb"\x06([\x01-\x40]).",
    re.DOTALL,
)


def is_attributes(beginning: bytes) -> bool:
    """Whether a file that begins so may be the signed attributes of a CMS signature (RFC 5652 §5.4).

    Their signature, without them beside it, passes as one of the file that they are.
    """
    found = _ATTRIBUTES.match(beginning)
    if found is None:
        return False
    after = found.start(1) + 1 + found[1][0]
    return beginning[after : after + 1] == b"\x31"
