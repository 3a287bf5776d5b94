"""Check-in, the device's side: a proof for the backend, and the clock from its reply (device API §9)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from typing import Any, Final

from cryptography import x509

from hem_provider.emulator import lifecycle
from hem_provider.emulator.audit import Event
from hem_provider.emulator.call import Call
from hem_provider.emulator.device import Device, x25519_public, x25519_secret
from hem_provider.emulator.encodings import from_b64, to_b64, to_b64url
from hem_provider.emulator.handlers import identity
from hem_provider.emulator.handlers.auth import open_ejwt
from hem_provider.emulator.handlers.tlsimport import import_chain
from hem_provider.emulator.http import Refusal, Response, answer
from hem_provider.emulator.jwt import DEVICE_HEADER, encode_jwt
from hem_provider.emulator.nonces import LIFETIME
from hem_provider.emulator.quirks import Q

__all__ = ["ACTIONS", "TRUSTED_BACKENDS", "accept", "blind_action", "blinded_serial", "prove"]

# The private half is public knowledge: the emulated backend protects nothing.
TRUSTED_BACKENDS: Final = (x25519_public(hashlib.sha256(b"hem-provider emulated check-in backend").digest()),)
ACTIONS: Final = ("OK", "L", "W", "R", "B", "U")
_LOCKED, _STOPPED = 0x40, 0x80


def blind_action(secret: bytes, nonce: bytes, action: str) -> bytes:
    """The 32-byte form in which an action travels; an encoding of our own, since only the two ends read it
    (§9.4)."""
    return hmac.digest(secret, nonce + action.encode(), hashlib.sha256)


def blinded_serial(secret: bytes, device: Device) -> bytes:
    """``qid``, 32 bytes: the device as only a backend that knows it can recognise it (§9.2)."""
    return hmac.digest(secret, device.state.factory.serial, hashlib.sha256)


def prove(call: Call) -> Response:
    """GET system/checkin."""
    device = call.device
    backend = TRUSTED_BACKENDS[0]
    secret = x25519_secret(device.boot.session_private, backend)
    claims: dict[str, Any] = {
        "jti": to_b64(device.new_nonce()),
        "iss": to_b64(device.session_public),
        "qid": to_b64(blinded_serial(secret, device)),
        "aud": to_b64(backend),
        "fws": identity.firmware_signature(device.state.firmware),
        "bls": identity.bootloader_signature(),
    }
    if device.is_ppa:
        claims["uis"] = identity.dashboard_hash()
    if device.boot.tls is not None:
        serial = x509.load_pem_x509_certificate(device.boot.tls.chain.encode()).serial_number
        claims["csn"] = to_b64(serial.to_bytes((serial.bit_length() + 7) // 8, "big"))
    return answer({"check": encode_jwt(DEVICE_HEADER, claims, secret)})


def accept(call: Call) -> Response:
    """POST system/checkin: 401 unless a trusted backend answers a fresh nonce; then set the clock and
    obey."""
    device = call.device
    token, issuer = open_ejwt(call.get("checked", str), device.boot.session_private)
    try:
        nonce = from_b64(token.text("jti"))
        now = token.integer("iat")
        blinded = from_b64(token.text("status"))
        audience = from_b64(token.text("aud"))
    except ValueError:
        raise Refusal(401) from None
    known = device.nonces.fresh(device.boot.nonce_key, nonce, device.now(), lifetime=LIFETIME)
    if issuer not in TRUSTED_BACKENDS or audience != device.session_public or not known:
        raise Refusal(401)
    if not 0 <= now <= 0xFFFFFFFF:
        raise Refusal(401)
    action = _unblind(device, issuer, nonce, blinded)
    device.set_clock(now)
    device.log(Event.RTC_SET, data=to_b64url(now.to_bytes(4, "little")))
    body = {"status": action}
    newcrt = token.claims.get("newcrt")
    if isinstance(newcrt, str):
        body["newcrt"] = _take_certificate(device, newcrt)
    body.update({name: token.claims[name] for name in ("newfws", "newuis") if name in token.claims})
    if device.config is None or device.config.trusted_backend:
        _obey(device, action)
    return answer(body)


def _unblind(device: Device, issuer: bytes, nonce: bytes, blinded: bytes) -> str:
    secret = x25519_secret(device.boot.session_private, issuer)
    for action in ACTIONS:
        if hmac.compare_digest(blind_action(secret, nonce, action), blinded):
            return action
    return "???"


def _take_certificate(device: Device, chain: str) -> str:
    """Q18: on an initialised device the chain is acknowledged but goes where nothing reads it."""
    if device.config is not None and device.switches.on(Q.NEWCRT_IGNORED):
        return "OK"
    try:
        lifecycle.install_tls(device, import_chain(device, from_b64(chain)))
    except ValueError:
        return "ERROR"
    return "OK"


def _obey(device: Device, action: str) -> None:
    if action == "L" and device.config is not None:
        device.state = replace(device.state, config=replace(device.config, user_key=b""))
        device.change_boot(fls=device.boot.fls | _LOCKED)
        device.log(Event.SHUTDOWN)
    elif action == "B":
        device.change_boot(fls=device.boot.fls | _STOPPED)
        device.log(Event.SHUTDOWN)
        device.state = replace(device.state, bricked=True)
    elif action == "W":
        lifecycle.wipe(device)
