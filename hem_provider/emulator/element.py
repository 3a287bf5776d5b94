"""The secure element of a PPA: its P-256 key, its certificate, and the ``genuine`` proof (device API §2.5,
§8.6)."""

from __future__ import annotations

import datetime
import functools
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from hem_provider.emulator.encodings import to_b64
from hem_provider.emulator.state import Factory

__all__ = ["genuine", "key_id", "make_certificate", "make_request", "point_of"]

_CUSTODY_KEY = hashlib.sha256(b"hem-provider emulated custody CA").digest()
_UNIQUE_ID = x509.ObjectIdentifier("1.3.6.1.4.1.56231.1")


@functools.lru_cache(8)
def _load(scalar: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1())


def point_of(scalar: bytes) -> bytes:
    """The 65-byte uncompressed point of an element key."""
    return _load(scalar).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def genuine(factory: Factory, now: int) -> str:
    """Proof that this element signed at the device time ``now``: key id, time and signature over the time's
    digits."""
    digits = str(now).encode()
    signature = _load(factory.element_key).sign(digits, ec.ECDSA(hashes.SHA256()))
    return ".".join(to_b64(part) for part in (key_id(point_of(factory.element_key)), digits, signature))


def key_id(point: bytes) -> bytes:
    """SHA-1 of the public point: the Subject Key Identifier of the element's certificate."""
    return hashlib.sha1(point, usedforsecurity=False).digest()


def _subject(factory: Factory) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, f"#{factory.element_serial.hex()}"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Encedo Ltd"),
            x509.NameAttribute(NameOID.COUNTRY_NAME, "UK"),
        ]
    )


def make_certificate(factory: Factory) -> bytes:
    """The element's DER certificate by an emulated custody authority."""
    issuer = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "Encedo Custody CA"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Encedo Limited"),
            x509.NameAttribute(NameOID.COUNTRY_NAME, "UK"),
        ]
    )
    start = datetime.datetime(2022, 1, 1, tzinfo=datetime.UTC)
    public = _load(factory.element_key).public_key()
    unique = b"\x04\x14" + hashlib.sha1(factory.serial, usedforsecurity=False).digest()
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(factory))
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(int.from_bytes(b"\x01" + factory.serial, "big"))
        .not_valid_before(start)
        .not_valid_after(start.replace(year=2052))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.OtherName(_UNIQUE_ID, unique)]), critical=False)
        .sign(_load(_CUSTODY_KEY), hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


def make_request(factory: Factory) -> str:
    """The PEM certificate request of a chip that is not provisioned yet."""
    request = x509.CertificateSigningRequestBuilder().subject_name(_subject(factory))
    return request.sign(_load(factory.element_key), hashes.SHA256()).public_bytes(Encoding.PEM).decode()
