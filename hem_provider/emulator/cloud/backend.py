"""The check-in backend: reads a device's proof, answers with the time and an action (device API §9)."""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from .. import tls
from ..device import x25519_secret
from ..encodings import from_b64, to_b64
from ..handlers.checkin import TRUSTED_BACKENDS, blind_action
from ..http import Refusal, Response, answer
from ..jwt import CLIENT_HEADER, decode_jwt, encode_jwt
from .call import CloudCall

__all__ = ["checkin"]

_PRIVATE = hashlib.sha256(b"hem-provider emulated check-in backend").digest()


def checkin(call: CloudCall) -> Response:
    """POST /checkin: `{"check"}` → `{"checked"}`; 401 when the proof is not by a device that trusts this
    backend."""
    bench = call.device.state.bench
    try:
        token = decode_jwt(call.text("check"))
        session = from_b64(token.text("iss"))
        secret = x25519_secret(_PRIVATE, session)
        nonce = from_b64(token.text("jti"))
        if (
            not token.is_ejwt
            or not token.authentic(secret)
            or from_b64(token.text("aud")) != TRUSTED_BACKENDS[0]
        ):
            raise Refusal(401)
    except ValueError:
        raise Refusal(401) from None
    claims: dict[str, Any] = {
        "jti": to_b64(nonce),
        "iat": int(call.device.host_time()) + bench.checkin_offset,
        "iss": to_b64(TRUSTED_BACKENDS[0]),
        "aud": to_b64(session),
        "status": to_b64(blind_action(secret, nonce, bench.checkin_action)),
    }
    if bench.checkin_newcrt:
        claims["newcrt"] = _fresh_chain(call)
    return answer({"checked": encode_jwt(CLIENT_HEADER, claims, secret)})


def _fresh_chain(call: CloudCall) -> str:
    """Base64 DER of a new certificate for the key that the device serves now."""
    state = call.device.state
    if state.tls is None or state.bench.ca is None:
        raise Refusal(503)
    names = tls.certificate_names(state.tls.chain)
    public = tls.load_key(state.tls.key).public_key()
    pem = tls.sign_request(state.bench.ca, public, names)
    leaf = x509.load_pem_x509_certificate(pem.encode())
    return to_b64(leaf.public_bytes(Encoding.DER))
