"""ML-KEM and ML-DSA (device API §13.8, §13.9)."""

from __future__ import annotations

from hem_provider.emulator import mldsa, mlkem
from hem_provider.emulator.call import Call
from hem_provider.emulator.encodings import to_b64
from hem_provider.emulator.handlers.peers import lookup
from hem_provider.emulator.http import Refusal, Response, answer
from hem_provider.emulator.keytypes import Family
from hem_provider.emulator.quirks import Q
from hem_provider.emulator.repository import Record

__all__ = ["decapsulate", "encapsulate", "sign", "verify"]


def _private(call: Call, family: Family) -> Record:
    """The device-made key of this family; 406 for anything else, imported public keys included."""
    record = lookup(call.device, call.get("kid", bytes))
    if record.kind is None or record.kind.family is not family or not record.private:
        raise Refusal(406)
    return record


def encapsulate(call: Call) -> Response:
    """POST crypto/pqc/mlkem/encaps."""
    record = _private(call, Family.MLKEM)
    secret, ciphertext = mlkem.encapsulate(record.type, record.secret)
    return answer({"alg": record.type, "ss": to_b64(secret), "ct": to_b64(ciphertext)})


def decapsulate(call: Call) -> Response:
    """POST crypto/pqc/mlkem/decaps: ``alg`` is leftover buffer content, the caller's scope (Q5)."""
    record = _private(call, Family.MLKEM)
    try:
        secret = mlkem.decapsulate(record.type, record.secret, call.get("ct", bytes))
    except ValueError:
        raise Refusal(406) from None
    leftover = call.device.switches.on(Q.DECAPS_ALG_IS_SCOPE) and call.bearer is not None
    algorithm = call.bearer.scope if call.bearer is not None and leftover else record.type
    return answer({"alg": algorithm, "ss": to_b64(secret)})


def sign(call: Call) -> Response:
    """POST crypto/pqc/mldsa/sign."""
    record = _private(call, Family.MLDSA)
    context = call.find("ctx", bytes) or b""
    signature = mldsa.sign(record.type, record.secret, call.get("msg", bytes), context)
    return answer({"alg": record.type, "sign": to_b64(signature)})


def verify(call: Call) -> Response:
    """POST crypto/pqc/mldsa/verify: any failure puts an internal code into the status line (Q4)."""
    failure = Refusal(call.device.switches.number(Q.MLDSA_FAILURE_STATUS))
    try:
        record = _private(call, Family.MLDSA)
    except Refusal:
        raise failure from None
    context = call.find("ctx", bytes) or b""
    message, signature = call.get("msg", bytes), call.get("sign", bytes)
    if not mldsa.verify(record.type, record.secret, message, context, signature):
        raise failure
    return Response()
