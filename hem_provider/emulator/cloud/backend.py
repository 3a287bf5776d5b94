"""The check-in backend: reads a device's proof, answers with the time and an action (device API §9)."""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hem_provider.emulator import tls
from hem_provider.emulator.cloud.call import CloudCall
from hem_provider.emulator.device import x25519_secret
from hem_provider.emulator.encodings import from_b64, to_b64
from hem_provider.emulator.handlers.checkin import TRUSTED_BACKENDS, blind_action
from hem_provider.emulator.http import Refusal, Response, answer
from hem_provider.emulator.jwt import CLIENT_HEADER, decode_jwt, encode_jwt

__all__ = ["checkin"]

_PRIVATE = hashlib.sha256(b"hem-provider emulated check-in backend").digest()


def checkin(call: CloudCall) -> Response:
    """POST /checkin: ``{"check"}`` → ``{"checked"}``; 401 when the proof is not by a device that trusts this
    backend."""
    knobs = call.device.state.knobs
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
        "iat": int(call.device.host_time()) + knobs.checkin_offset,
        "iss": to_b64(TRUSTED_BACKENDS[0]),
        "aud": to_b64(session),
        "status": to_b64(blind_action(secret, nonce, knobs.checkin_action)),
    }
    if knobs.checkin_newcrt:
        claims["newcrt"] = _fresh_chain(call)
    return answer({"checked": encode_jwt(CLIENT_HEADER, claims, secret)})


def _fresh_chain(call: CloudCall) -> str:
    """Base64 DER of a new certificate for the key that the device serves now."""
    state = call.device.state
    if state.tls is None or state.knobs.ca is None:
        raise Refusal(503)
    names = tls.certificate_names(state.tls.chain)
    public = tls.load_key(state.tls.key).public_key()
    pem = tls.sign_request(state.knobs.ca, public, names)
    leaf = x509.load_pem_x509_certificate(pem.encode())
    return to_b64(leaf.public_bytes(Encoding.DER))
