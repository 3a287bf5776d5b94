"""Readers and fields that the answers of several endpoint groups have, by what they hold. Sizes are in
bytes, times in Unix seconds; sections are those of the device API."""

from __future__ import annotations

from hem_provider.rest.agreements import LAST, expiry, granted_scope
from hem_provider.rest.fields import Field, Shape, data_text, integer, text

__all__ = [
    "B32",
    "BEARER",
    "CHALLENGE",
    "CHALLENGE_SECONDS",
    "CSR",
    "GENUINE",
    "HANDLE",
    "HEX",
    "MOST_RECORDS",
    "NUMBER",
    "SIZE",
    "TIME",
]

TIME = integer(0, LAST)
#: Seconds or sectors.
SIZE = integer(0, 2**40)
#: A number that firmware keeps in 32 bits, with or without a sign.
NUMBER = integer(-(2**31), 2**32 - 1)
#: X25519 public keys, nonces and MACs, used as the text they came in.
B32 = data_text(32)
GENUINE = text(1, 512, pattern=r"[A-Za-z0-9+/=_-]+(\.[A-Za-z0-9+/=_-]+){2}", accepted="three parts in base64")
#: What the cloud calls an order, a pairing or a login request by.
HANDLE = text(1, 128, pattern=r"[A-Za-z0-9_-]+", accepted="letters, digits, '-' and '_'")
HEX = text(0, 64, pattern="[0-9A-Fa-f]*", accepted="hex digits")
CSR = text(1, 7300, lines=True)
#: More records than any device has slots for (§18).
MOST_RECORDS = 2**20
#: The claims of a bearer that a client reads (§5.4).
BEARER = Shape((Field("scope", granted_scope), Field("sub", text(1, 64)), Field("exp", expiry)))
#: How long what is to be proven against holds, in seconds (§5.1).
CHALLENGE_SECONDS = 60
#: What is to be proven against.
CHALLENGE = (
    Field("exp", integer(CHALLENGE_SECONDS, LAST)),
    Field("spk", B32),
    Field("jti", B32),
    Field("eid", B32),
)
