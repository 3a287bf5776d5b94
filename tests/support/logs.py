"""The audit log as the device writes it, checked without the client."""

from __future__ import annotations

import hashlib
import hmac

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519

from hem_provider.emulator.encodings import from_b64url

__all__ = ["BadLog", "verify"]


class BadLog(AssertionError):
    pass


def verify(text, public):
    """The records of a log as (event, result, actor, data); BadLog unless every key and MAC is right."""
    records, key = [], None
    for line in text.splitlines():
        fields = line.split("|")
        if len(fields) != 7:
            continue
        event, result = int(fields[2], 16), int(fields[3], 16)
        if event == 0 and result == 0:
            key = from_b64url(fields[4])
            try:
                ed25519.Ed25519PublicKey.from_public_bytes(public).verify(from_b64url(fields[5]), key)
            except InvalidSignature:
                raise BadLog("key record") from None
        signed = line[: line.rindex("|") + 1].encode()
        if key is None or hmac.digest(key, signed, hashlib.sha256)[:16] != from_b64url(fields[6]):
            raise BadLog(f"record {fields[0]}")
        records.append((event, result, fields[4], fields[5]))
    return records
