"""Endpoint group ``/api/crypto``: operations with a stored key (device API §13).

Every method needs a token whose scope is exactly ``keymgmt:use:<kid>``. An HTTP 406 here means
any of: no such key, wrong type or usage, failed verification; it is ``HemOperationFailed`` (or
``False`` from a verify), never "not found".
"""

from __future__ import annotations

from typing import Any

from hem_provider.errors import HemOperationFailed, HemTimeout, MessageTooLong
from hem_provider.keytypes import MAX_CONTEXT, MAX_MESSAGE, KeyType
from hem_provider.rest.answer import Answer
from hem_provider.rest.channel import EndpointGroup
from hem_provider.rest.encoding import b64
from hem_provider.rest.fields import Asked
from hem_provider.rest.keymgmt import check_kid, peer_field
from hem_provider.rest.status import error_for
from hem_provider.rest.wire import ConnectionLostError

__all__ = ["CryptoApi", "check_context", "check_message"]

#: Answers to ``mldsa/verify`` that say nothing about the signature (device API §13.9).
_NOT_A_VERDICT = frozenset({400, 401, 403, 409, 411, 413, 418})


def check_message(message: bytes, limit: int = MAX_MESSAGE, *, what: str = "message") -> None:
    """Raises ``ValueError`` for 0 bytes and ``MessageTooLong`` for more than ``limit``."""
    if not message:
        raise ValueError(f"{what}: 0 bytes; accepted: 1 to {limit} bytes")
    if len(message) > limit:
        raise MessageTooLong(
            f"{what}: {len(message)} bytes; the device takes at most {limit} in one operation and does not "
            "take a digest instead. Sign something that contains a digest of the data (CMS signed "
            "attributes, a manifest), or split it",
            size=len(message),
            limit=limit,
        )


def check_context(context: bytes | None) -> None:
    """Raises ``ValueError`` for a context of more than 255 bytes (RFC 8032, FIPS 204)."""
    if context is not None and len(context) > MAX_CONTEXT:
        raise ValueError(f"context: {len(context)} bytes; accepted: at most {MAX_CONTEXT} bytes")


class CryptoApi(EndpointGroup):
    """One method per endpoint. ``kind``: the key's type where it is known; the answer must fit it."""

    def sign(
        self,
        kid: str,
        message: bytes,
        algorithm: str,
        *,
        context: bytes | None = None,
        kind: KeyType | None = None,
        token: str,
    ) -> bytes:
        """``exdsa/sign``: 1…2048 bytes; the signature in device form (ECDSA: DER)."""
        body = self._signing(kid, message, context, alg=algorithm)
        asked = Asked(type=kind, algorithm=algorithm)
        return self._post("exdsa/sign", body, token, asked).data("sign")

    def verify(
        self,
        kid: str,
        message: bytes,
        signature: bytes,
        algorithm: str,
        *,
        context: bytes | None = None,
        token: str,
    ) -> bool:
        """``exdsa/verify``. ``False`` also when the key is missing or of the wrong type."""
        body = self._signing(kid, message, context, alg=algorithm, sign=b64(signature))
        return self._accepted("exdsa/verify", body, token)

    def ecdh(self, kid: str, peer: bytes | str, *, algorithm: str | None = None, token: str) -> bytes:
        """``ecdh``: the digest ``algorithm`` of the whole secret, or, without one, the secret's
        first 32 bytes. ``peer``: a KID, or a public key in device form."""
        body = {"kid": check_kid(kid), **peer_field(peer)}
        if algorithm is not None:
            body["alg"] = algorithm
        return self._post("ecdh", body, token, Asked(algorithm=algorithm)).data("ecdh")

    def mlkem_encapsulate(self, kid: str, *, kind: KeyType | None = None, token: str) -> tuple[bytes, bytes]:
        """``pqc/mlkem/encaps``: a fresh ciphertext and its 32-byte shared secret, in this order.

        Needs the private object: an imported public key is refused.
        """
        answer = self._post("pqc/mlkem/encaps", {"kid": check_kid(kid)}, token, Asked(type=kind))
        return answer.data("ct"), answer.data("ss")

    def mlkem_decapsulate(self, kid: str, ciphertext: bytes, *, token: str) -> bytes:
        """``pqc/mlkem/decaps``: the 32-byte shared secret. The answer's ``alg`` is not meaningful."""
        return self._post("pqc/mlkem/decaps", {"kid": check_kid(kid), "ct": b64(ciphertext)}, token).data(
            "ss"
        )

    def mldsa_sign(
        self,
        kid: str,
        message: bytes,
        *,
        context: bytes | None = None,
        kind: KeyType | None = None,
        token: str,
    ) -> bytes:
        """``pqc/mldsa/sign``: 1…2048 bytes under an optional context; the raw signature."""
        body = self._signing(kid, message, context)
        return self._post("pqc/mldsa/sign", body, token, Asked(type=kind)).data("sign")

    def mldsa_verify(
        self, kid: str, message: bytes, signature: bytes, *, context: bytes | None = None, token: str
    ) -> bool:
        """``pqc/mldsa/verify``. ``False`` also when the key is missing or of the wrong type.

        Firmware 1.2.2 tells failure by an internal number as status code, even one that is no
        HTTP (device API §13.9): an answer that cannot be read, from a device that then answers
        its status, is such a failure. Verify with the native public key where you can.
        """
        body = self._signing(kid, message, context, sign=b64(signature))
        path = "/api/crypto/pqc/mldsa/verify"
        try:
            reply = self._channel.exchange("POST", path, body=body, token=token)
        except (ConnectionLostError, HemTimeout):
            self._channel.call("GET", "/api/system/status")
            return False
        if reply.status in _NOT_A_VERDICT or 500 <= reply.status < 600:
            raise error_for(reply.status, f"{self._channel.config.name}: POST {path}")
        if reply.status != 200:
            return False
        self._channel.read(reply, "POST", path)
        return True

    def _signing(self, kid: str, message: bytes, context: bytes | None, **fields: str) -> dict[str, str]:
        check_message(message)
        check_context(context)
        body = {"kid": check_kid(kid), "msg": b64(message), **fields}
        if context:  # an empty string is refused; an absent one is the empty context
            body["ctx"] = b64(context)
        return body

    def _post(self, name: str, body: dict[str, Any], token: str, asked: Asked | None = None) -> Answer:
        return self._channel.call("POST", f"/api/crypto/{name}", body=body, token=token, asked=asked)

    def _accepted(self, name: str, body: dict[str, Any], token: str) -> bool:
        try:
            self._post(name, body, token)
        except HemOperationFailed:
            return False
        return True
