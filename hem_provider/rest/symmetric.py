"""Endpoint groups ``/api/crypto/cipher`` and ``/api/crypto/hmac``: operations with a stored
symmetric key, or with one that the device derives from an ECDH secret (device API §13.2, §13.4, §13.5,
§13.7).

Every method needs a token whose scope is exactly ``keymgmt:use:<kid>``. HTTP 406 is raised as
``HemOperationFailed``; it means a failed integrity check as well as an unsuitable or missing key.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hem_provider.errors import MessageTooLong
from hem_provider.keytypes import MAX_MESSAGE, KeyType
from hem_provider.rest.answer import Answer
from hem_provider.rest.channel import EndpointGroup
from hem_provider.rest.encoding import b64
from hem_provider.rest.fields import Asked
from hem_provider.rest.keymgmt import check_kid, peer_field

__all__ = ["MAX_DERIVATION_CONTEXT", "Encrypted", "SymmetricApi"]

#: Largest context of an ECDH-derived key, in bytes (device API §13.7).
MAX_DERIVATION_CONTEXT = 64
#: What decrypting takes more than encrypting: a block of padding; unwrapping: the integrity value.
_PADDING, _INTEGRITY = 16, 8


class Encrypted(NamedTuple):
    """What ``encrypt`` brings: ``iv`` (16 bytes, made by the device) not for ECB, ``tag`` (16
    bytes) for GCM alone."""

    ciphertext: bytes
    iv: bytes | None
    tag: bytes | None


class SymmetricApi(EndpointGroup):
    """One method per endpoint. ``peer``: the public half to derive a key with, a KID or a public
    key in device form; ``context``: up to 64 bytes that tell derived keys apart."""

    def encrypt(
        self,
        kid: str,
        data: bytes,
        algorithm: str,
        *,
        aad: bytes | None = None,
        peer: bytes | str | None = None,
        context: bytes | None = None,
        token: str,
    ) -> Encrypted:
        """``cipher/encrypt`` of 1…2048 bytes with ``AES{128,192,256}-{ECB,CBC,GCM}``.

        The device makes the IV of CBC and GCM, and pads CBC by PKCS#7.
        """
        body = _body(kid, data, MAX_MESSAGE, peer, context, alg=algorithm, aad=_optional(aad))
        answer = self._post("cipher/encrypt", body, token, _asked(algorithm, data))
        return Encrypted(answer.data("ciphertext"), answer.optional_data("iv"), answer.optional_data("tag"))

    def decrypt(
        self,
        kid: str,
        data: bytes,
        algorithm: str,
        *,
        iv: bytes | None = None,
        tag: bytes | None = None,
        aad: bytes | None = None,
        peer: bytes | str | None = None,
        context: bytes | None = None,
        token: str,
    ) -> bytes:
        """``cipher/decrypt`` of 1…2064 bytes; ``iv`` and ``tag`` are 16 bytes where the mode has them."""
        body = _body(
            kid, data, MAX_MESSAGE + _PADDING, peer, context,
            alg=algorithm, iv=_optional(iv), tag=_optional(tag), aad=_optional(aad),
        )  # fmt: skip
        return self._post("cipher/decrypt", body, token, _asked(algorithm, data)).data("plaintext")

    def wrap(
        self,
        kid: str,
        data: bytes,
        algorithm: str,
        *,
        icv: bytes | None = None,
        peer: bytes | str | None = None,
        context: bytes | None = None,
        token: str,
    ) -> bytes:
        """``cipher/wrap`` (RFC 3394) of 16…2048 bytes with ``AES{128,192,256}``; ``icv``: 8 bytes."""
        body = _body(kid, data, MAX_MESSAGE, peer, context, alg=algorithm, iv=_optional(icv))
        return self._post("cipher/wrap", body, token, _asked(algorithm, data)).data("wrapped")

    def unwrap(
        self,
        kid: str,
        data: bytes,
        algorithm: str,
        *,
        icv: bytes | None = None,
        peer: bytes | str | None = None,
        context: bytes | None = None,
        token: str,
    ) -> bytes:
        """``cipher/unwrap`` of 24…2056 bytes."""
        body = _body(kid, data, MAX_MESSAGE + _INTEGRITY, peer, context, alg=algorithm, iv=_optional(icv))
        return self._post("cipher/unwrap", body, token, _asked(algorithm, data)).data("unwrapped")

    def hmac(
        self,
        kid: str,
        data: bytes,
        *,
        algorithm: str | None = None,
        peer: bytes | str | None = None,
        kind: KeyType | None = None,
        token: str,
    ) -> bytes:
        """``hmac/hash`` of 1…2048 bytes. ``algorithm`` counts with a ``peer`` alone: a stored key
        has its digest in its type, ``kind`` where that is known."""
        body = _body(kid, data, MAX_MESSAGE, peer, None, alg=algorithm)
        asked = Asked(type=kind) if peer is None else Asked(algorithm=algorithm)
        return self._post("hmac/hash", body, token, asked).data("mac")

    def hmac_verify(
        self,
        kid: str,
        data: bytes,
        mac: bytes,
        *,
        algorithm: str | None = None,
        peer: bytes | str | None = None,
        token: str,
    ) -> None:
        """``hmac/verify``; ``HemOperationFailed`` when ``mac`` (at most 64 bytes) is not right."""
        body = _body(kid, data, MAX_MESSAGE, peer, None, alg=algorithm, mac=b64(mac))
        self._post("hmac/verify", body, token)

    def _post(self, name: str, body: dict[str, Any], token: str, asked: Asked | None = None) -> Answer:
        return self._channel.call("POST", f"/api/crypto/{name}", body=body, token=token, asked=asked)


def _asked(algorithm: str, data: bytes) -> Asked:
    return Asked(algorithm=algorithm, size=len(data))


def _body(
    kid: str, data: bytes, limit: int, peer: bytes | str | None, context: bytes | None, **fields: str | None
) -> dict[str, str]:
    if not data:
        raise ValueError(f"data: 0 bytes; accepted: 1 to {limit} bytes")
    if len(data) > limit:
        raise MessageTooLong(
            f"data: {len(data)} bytes; the device takes at most {limit} in one operation",
            size=len(data),
            limit=limit,
        )
    body = {"kid": check_kid(kid), "msg": b64(data)}
    body.update({name: value for name, value in fields.items() if value is not None})
    if peer is not None:
        body.update(peer_field(peer))
    if context:
        if peer is None:
            raise ValueError("context: it belongs to a derived key; give a peer as well")
        if len(context) > MAX_DERIVATION_CONTEXT:
            raise ValueError(
                f"context: {len(context)} bytes; accepted: at most {MAX_DERIVATION_CONTEXT} bytes"
            )
        body["ctx"] = b64(context)
    return body


def _optional(data: bytes | None) -> str | None:
    return b64(data) if data else None  # an empty string is refused (device API §2.1)
