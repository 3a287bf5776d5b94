"""eJWT: an HS256 JWT whose MAC key is an X25519 shared secret (device API §2.4, §5.3)."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from hem_provider.errors import HemAnswerFault
from hem_provider.rest.encoding import b64url, parse_json, unb64url

__all__ = ["claims_of", "make_ejwt", "public_key_of", "shared_secret"]

#: Byte for byte what the device's vendor clients send; its parser needs ``alg``.
_HEADER = b64url(b'{"ecdh":"x25519","alg":"HS256","typ":"JWT"}')


def public_key_of(seed: bytes | bytearray | memoryview) -> bytes:
    """The X25519 public key (32 bytes) of a 32-byte private key."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey  # for logins alone
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = X25519PrivateKey.from_private_bytes(seed).public_key()
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def shared_secret(seed: bytes | bytearray | memoryview, peer: bytes) -> bytes:
    """X25519 (RFC 7748 §6.1), 32 bytes. Raises ``HemAnswerFault`` for an impossible peer key."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

    try:
        return X25519PrivateKey.from_private_bytes(seed).exchange(X25519PublicKey.from_public_bytes(peer))
    except ValueError:
        raise HemAnswerFault(f"the peer's X25519 key of {len(peer)} bytes is not usable") from None


def make_ejwt(claims: Mapping[str, Any], secret: bytes) -> str:
    """Claims in their given order, compact JSON, HMAC-SHA256 under ``secret`` (32 bytes)."""
    payload = json.dumps(dict(claims), separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    signed = f"{_HEADER}.{b64url(payload)}"
    return f"{signed}.{b64url(_mac(secret, signed))}"


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a JWT, unverified: what the device meant for itself is not ours to verify.
    ``HemAnswerFault`` for what is no JWT."""
    try:
        _, payload, _ = token.split(".")
        claims = parse_json(unb64url(payload))
    except ValueError:
        raise HemAnswerFault("the token is not a JWT") from None
    if not isinstance(claims, dict):
        raise HemAnswerFault("the token holds no claims")
    return claims


def _mac(secret: bytes, signed: str) -> bytes:
    return hmac.digest(secret, signed.encode("ascii"), hashlib.sha256)
