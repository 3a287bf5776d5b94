"""ECDSA and EdDSA (device API §13.3)."""

from __future__ import annotations

from hem_provider.emulator import signatures
from hem_provider.emulator.call import Call
from hem_provider.emulator.encodings import to_b64
from hem_provider.emulator.handlers.peers import lookup
from hem_provider.emulator.http import Refusal, Response, answer
from hem_provider.emulator.keytypes import KeyType
from hem_provider.emulator.quirks import Q
from hem_provider.emulator.repository import Record

__all__ = ["sign", "verify"]


def _context(call: Call, algorithm: str) -> bytes:
    """The signature context; absent means empty, except that Ed25519ctx wants one (U3)."""
    context = call.find("ctx", bytes)
    if not signatures.takes_context(algorithm):
        return b""
    if context is None and algorithm == "Ed25519ctx":
        status = call.device.switches.number(Q.CTX_MISSING_STATUS)
        if status != 200:
            raise Refusal(status)
    return context or b""


def _key(call: Call) -> tuple[Record, KeyType]:
    record = lookup(call.device, call.get("kid", bytes))
    if record.kind is None or "ExDSA" not in record.modes:
        raise Refusal(406)
    return record, record.kind


def sign(call: Call) -> Response:
    """POST crypto/exdsa/sign: the device hashes, always."""
    algorithm = call.get("alg", str)
    record, kind = _key(call)
    if not record.private:
        raise Refusal(406)
    context = _context(call, algorithm)
    deterministic = call.device.switches.on(Q.ECDSA_DETERMINISTIC)
    try:
        signature = signatures.sign(
            kind, record.secret, algorithm, call.get("msg", bytes), context, deterministic=deterministic
        )
    except ValueError:
        raise Refusal(406) from None
    return answer({"sign": to_b64(signature)})


def verify(call: Call) -> Response:
    """POST crypto/exdsa/verify: 200 or 406, which also means any trouble with the key."""
    algorithm = call.get("alg", str)
    record, kind = _key(call)
    context = _context(call, algorithm)
    message, signature = call.get("msg", bytes), call.get("sign", bytes)
    try:
        valid = signatures.verify(kind, record.public, algorithm, message, context, signature)
    except ValueError:
        valid = False
    if not valid:
        raise Refusal(406)
    return Response()
