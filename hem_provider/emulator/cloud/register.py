"""The register service: TLS names, keys and certificates for devices (device API §7.3)."""

from __future__ import annotations

import re
import secrets
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from hem_provider.emulator import element, tls
from hem_provider.emulator.cloud.call import CloudCall
from hem_provider.emulator.encodings import from_b64, to_b64
from hem_provider.emulator.handlers.tlsimport import seal_key
from hem_provider.emulator.http import Refusal, Response, answer
from hem_provider.emulator.state import Tls

__all__ = ["check_prefix", "register_default", "register_prefix", "registration_result"]

_PREFIX: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_ZONE: Final = "ence.do"


def _authority(call: CloudCall) -> Tls:
    authority = call.device.state.knobs.ca
    if authority is None:
        raise Refusal(503)
    return authority


def _check_genuine(call: CloudCall) -> None:
    """401 unless the proof is by the secure element of this device."""
    point = element.point_of(call.device.state.factory.element_key)
    try:
        key_id, digits, signature = (from_b64(part) for part in call.text("genuine").split("."))
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        public.verify(signature, digits, ec.ECDSA(hashes.SHA256()))
        known = key_id == element.key_id(point)
    except (ValueError, InvalidSignature):
        raise Refusal(401) from None
    if not known:
        raise Refusal(401)


def _der(pem: str) -> str:
    return to_b64(x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER))


def register_default(call: CloudCall) -> Response:
    """POST /domain/register/my[/authkey]: key and certificate for ``my.ence.do``, sealed for the secure
    element."""
    _check_genuine(call)
    issued = tls.issue(_authority(call), tls.DEFAULT_NAMES, now=call.device.host_time())
    point = element.point_of(call.device.state.factory.element_key)
    emp, sealed = seal_key(point, tls.load_key(issued.key))
    return answer({"emp": emp, "key": sealed, "crt": _der(issued.chain)})


def register_prefix(call: CloudCall) -> Response:
    """POST /domain/register/{prefix}[/authkey]: a certificate for the device's own request, ready a poll
    later."""
    prefix = call.path["prefix"]
    if prefix == "my":
        return register_default(call)
    if not _PREFIX.fullmatch(prefix) or call.records.get("domain", prefix) is not None:
        raise Refusal(406)
    _check_genuine(call)
    if "ip" not in call.body and "cname" not in call.body:
        raise Refusal(400)
    name = f"{prefix}.{_ZONE}"
    names, now = (name, *tls.DEFAULT_NAMES), call.device.host_time()
    chain = tls.sign_request(_authority(call), _requested_key(call), names, now=now)
    number = secrets.token_hex(16)
    call.records.put("order", number, {"crt": _der(chain), "polls": 0})
    call.records.put("domain", prefix, {"name": name})
    return answer({"id": number}, status=201)


def _requested_key(call: CloudCall) -> ec.EllipticCurvePublicKey:
    """The public key of ``csr``, which is PEM or base64 DER."""
    text = call.text("csr")
    try:
        request = (
            x509.load_pem_x509_csr(text.encode())
            if text.startswith("-----")
            else x509.load_der_x509_csr(from_b64(text))
        )
        key: Any = request.public_key()
        if not request.is_signature_valid or not isinstance(key, ec.EllipticCurvePublicKey):
            raise Refusal(400)
    except ValueError:
        raise Refusal(400) from None
    return key


def registration_result(call: CloudCall) -> Response:
    """GET /domain/register/{id}: 202 at the first poll, then the certificate."""
    order = call.records.get("order", call.path["prefix"])
    if order is None:
        raise Refusal(404)
    if order["polls"] == 0:
        call.records.change("order", call.path["prefix"], polls=1)
        return Response(202)
    return answer({"crt": order["crt"]})


def check_prefix(call: CloudCall) -> Response:
    """GET /domain/check/{prefix}: 404 means free."""
    if call.path["prefix"] == "my" or call.records.get("domain", call.path["prefix"]) is not None:
        return Response()
    raise Refusal(404)
