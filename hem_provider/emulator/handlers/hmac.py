"""HMAC by a stored key or by an ECDH secret (device API §13.2)."""

from __future__ import annotations

import hmac

from hem_provider.emulator.call import Call
from hem_provider.emulator.encodings import to_b64
from hem_provider.emulator.handlers.peers import lookup, peer_secret
from hem_provider.emulator.http import Refusal, Response, answer
from hem_provider.emulator.keytypes import DIGESTS, Family
from hem_provider.emulator.quirks import Q

__all__ = ["make", "verify"]


def _mac(call: Call) -> bytes:
    """The MAC: by the stored key, whose type fixes the digest, or by the raw secret with a peer."""
    own = lookup(call.device, call.get("kid", bytes))
    algorithm = call.find("alg", str)
    secret = peer_secret(call, own)
    if secret is not None:
        if algorithm is None:
            raise Refusal(406)
        length = call.device.switches.number(Q.HMAC_SECRET_BYTES)
        return hmac.digest(secret[: length or None], call.get("msg", bytes), DIGESTS[algorithm])
    if own.kind is None or own.kind.family is not Family.HMAC:
        raise Refusal(406)
    if algorithm not in (None, own.type) and not call.device.switches.on(Q.HMAC_ALG_IGNORED):
        raise Refusal(406)
    return hmac.digest(own.secret, call.get("msg", bytes), DIGESTS[own.type])


def make(call: Call) -> Response:
    """POST crypto/hmac/hash."""
    return answer({"mac": to_b64(_mac(call))})


def verify(call: Call) -> Response:
    """POST crypto/hmac/verify: the full length or 406."""
    if not hmac.compare_digest(_mac(call), call.get("mac", bytes)):
        raise Refusal(406)
    return Response()
