"""Attestation and provisioning of the secure element (device API §8.6, PPA only)."""

from __future__ import annotations

from dataclasses import replace

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hem_provider.emulator import element
from hem_provider.emulator.call import Call
from hem_provider.emulator.encodings import from_b64, to_b64
from hem_provider.emulator.http import Refusal, Response, answer
from hem_provider.emulator.quirks import Q, Switches

__all__ = ["attest", "attestation_failure", "provision"]


def attestation_failure(switches: Switches) -> int:
    """The status where the secure element fails (Q33); 0 where it does not."""
    return 500 if switches.text(Q.ATTESTATION_FAILURE) != "none" else 0


def attest(call: Call) -> Response:
    """GET config/attestation: certificate of a provisioned chip, request of a fresh one."""
    device = call.device
    if failure := attestation_failure(device.switches):
        raise Refusal(failure, body=device.switches.text(Q.ATTESTATION_FAILURE).encode())
    factory = device.state.factory
    proof = element.genuine(factory, device.now())
    if factory.element_certificate:
        return answer({"crt": to_b64(factory.element_certificate), "genuine": proof})
    public = ec.EllipticCurvePublicKey.from_encoded_point(
        ec.SECP256R1(), element.point_of(factory.element_key)
    )
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return answer({"csr": element.make_request(factory), "key": to_b64(der), "genuine": proof})


def provision(call: Call) -> Response:
    """POST config/provisioning: 406 when the chip has a certificate or this one is not for it."""
    device = call.device
    factory = device.state.factory
    if factory.element_certificate:
        raise Refusal(406)
    try:
        der = from_b64(call.get("crt", str))
        public = x509.load_der_x509_certificate(der).public_key()
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise Refusal(406)
        point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    except ValueError:
        raise Refusal(406) from None
    if point != element.point_of(factory.element_key):
        raise Refusal(406)
    device.state = replace(device.state, factory=replace(factory, element_certificate=der))
    return Response()
