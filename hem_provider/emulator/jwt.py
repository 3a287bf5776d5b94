"""The three JWT dialects of the device (device API §2.4): HS256 throughout, told apart by header and key.

An *eJWT* is authenticated with an X25519 shared secret, a *bearer* with a secret that the device makes at
boot.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

from hem_provider.emulator.encodings import compact_json, from_b64url, parse_json_object, to_b64url

__all__ = ["BEARER_HEADER", "CLIENT_HEADER", "DEVICE_HEADER", "InvalidJwt", "Jwt", "decode_jwt", "encode_jwt"]

CLIENT_HEADER = '{"ecdh":"x25519","alg":"HS256","typ":"JWT"}'
DEVICE_HEADER = '{"ecdh":"x25519","typ":"JWT","alg":"HS256"}'
BEARER_HEADER = '{"typ":"JWT","alg":"HS256"}'


class InvalidJwt(ValueError):
    """The text is no JWT of the expected dialect, or its MAC is wrong."""


@dataclass(frozen=True, slots=True)
class Jwt:
    """A parsed but not yet authenticated token."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    mac: bytes

    @property
    def is_ejwt(self) -> bool:
        """Whether its header says that an X25519 shared secret authenticates it."""
        return self.header.get("ecdh") == "x25519"

    def authentic(self, key: bytes) -> bool:
        """``True`` when the MAC is HMAC-SHA256 of both leading segments under ``key``."""
        return hmac.compare_digest(_mac(key, self.signed), self.mac)

    def text(self, name: str) -> str:
        """A claim that must be a string; ``InvalidJwt`` otherwise."""
        value = self.claims.get(name)
        if not isinstance(value, str):
            raise InvalidJwt(f"claim {name} is not a string")
        return value

    def integer(self, name: str) -> int:
        """A claim that must be an integer; ``InvalidJwt`` otherwise."""
        value = self.claims.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidJwt(f"claim {name} is not an integer")
        return value


def _mac(key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, signed, hashlib.sha256)


def encode_jwt(header: str, claims: dict[str, Any], key: bytes) -> str:
    """The token for ``claims`` under ``key``; claims keep the order given."""
    signed = f"{to_b64url(header.encode())}.{to_b64url(compact_json(claims).encode())}"
    return f"{signed}.{to_b64url(_mac(key, signed.encode()))}"


def decode_jwt(text: str) -> Jwt:
    """Split and parse a token without checking its MAC. The header must name ``alg`` HS256 (device API
    §2.4). ``InvalidJwt`` for anything else."""
    parts = text.split(".")
    if len(parts) != 3:
        raise InvalidJwt("a JWT has three segments")
    try:
        header = parse_json_object(from_b64url(parts[0]))
        claims = parse_json_object(from_b64url(parts[1]))
        mac = from_b64url(parts[2])
    except ValueError as error:
        raise InvalidJwt(str(error)) from None
    if header.get("alg") != "HS256":
        raise InvalidJwt("alg is not HS256")
    return Jwt(header, claims, f"{parts[0]}.{parts[1]}".encode("ascii"), mac)
