"""The check-in backend: reads a device's proof, answers with the time and an action (device API §9).

It answers every device that trusts its key. One that it knows, by ``qid``, gets what was ordered for its
instance id (remote management); every other what is ordered for all.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hem_provider.emulator import tls
from hem_provider.emulator.cloud.call import CloudCall
from hem_provider.emulator.device import Device, x25519_secret
from hem_provider.emulator.encodings import from_b64, parse_json_object, to_b64
from hem_provider.emulator.handlers import identity
from hem_provider.emulator.handlers.checkin import TRUSTED_BACKENDS, blind_action, blinded_serial
from hem_provider.emulator.http import Refusal, Response, answer
from hem_provider.emulator.jwt import CLIENT_HEADER, decode_jwt, encode_jwt

__all__ = ["checkin", "knows"]

_NEWER = "the next version"
_PRIVATE = hashlib.sha256(b"hem-provider emulated check-in backend").digest()


def checkin(call: CloudCall) -> Response:
    """POST /checkin: ``{"check"}`` → ``{"checked"}``; 401 when the proof is not by a device that trusts this
    backend."""
    knobs = call.device.state.knobs
    check = _read(call.text("check"))
    if check is None:
        raise Refusal(401)
    session, secret, nonce = check.session, check.secret, check.nonce
    config = call.device.config
    known = config is not None and check.qid == blinded_serial(secret, call.device)
    action = call.orders.get(config.instance_id, "") if config is not None and known else ""
    claims: dict[str, Any] = {
        "jti": to_b64(nonce),
        "iat": int(call.device.host_time()) + knobs.checkin_offset,
        "iss": to_b64(TRUSTED_BACKENDS[0]),
        "aud": to_b64(session),
        "status": to_b64(blind_action(secret, nonce, action or knobs.checkin_action)),
    }
    if knobs.checkin_newcrt:
        claims["newcrt"] = _fresh_chain(call)
    if knobs.checkin_newfw:
        claims["newfws"] = identity.firmware_signature(_NEWER)
    if knobs.checkin_newui and call.device.is_ppa:
        claims["newuis"] = identity.dashboard_hash()
    return answer({"checked": encode_jwt(CLIENT_HEADER, claims, secret)})


@dataclass(frozen=True, slots=True)
class _Check:
    """What a device proved: its session key, the secret shared with it, the nonce to repeat, and ``qid``."""

    session: bytes
    secret: bytes
    nonce: bytes
    qid: bytes


def _read(text: str) -> _Check | None:
    """A proof by a device that trusts this backend; ``None`` for anything else."""
    try:
        token = decode_jwt(text)
        session = from_b64(token.text("iss"))
        secret = x25519_secret(_PRIVATE, session)
        trusted = from_b64(token.text("aud")) == TRUSTED_BACKENDS[0]
        check = _Check(session, secret, from_b64(token.text("jti")), from_b64(token.text("qid")))
        return check if token.is_ejwt and token.authentic(secret) and trusted else None
    except ValueError:
        return None


def knows(device: Device, body: bytes) -> bool:
    """Whether the check-in in this request is of ``device``; inside a transaction of the device."""
    try:
        check = _read(str(parse_json_object(body).get("check")))
    except ValueError:
        return False
    return check is not None and check.qid == blinded_serial(check.secret, device)


def _fresh_chain(call: CloudCall) -> str:
    """Base64 DER of a new certificate for the key that the device serves now."""
    state = call.device.state
    if state.tls is None or state.knobs.ca is None:
        raise Refusal(503)
    names = tls.certificate_names(state.tls.chain)
    public = tls.load_key(state.tls.key).public_key()
    pem = tls.sign_request(state.knobs.ca, public, names, now=call.device.host_time())
    leaf = x509.load_pem_x509_certificate(pem.encode())
    return to_b64(leaf.public_bytes(Encoding.DER))
