"""Certificates of the emulator: its own authority and the leaf certificates that device and cloud present."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hem_provider.emulator.state import Tls

__all__ = [
    "DEFAULT_NAMES",
    "certificate_names",
    "issue",
    "load_key",
    "make_authority",
    "make_key",
    "sign_request",
]

DEFAULT_NAMES = ("my.ence.do", "api.encedo.com", "localhost", "127.0.0.1")
_LEAF_DAYS = 90
_CA_DAYS = 3650


def make_key() -> str:
    """A fresh P-256 private key as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def load_key(pem: str) -> ec.EllipticCurvePrivateKey:
    """A P-256 private key from PEM. ``ValueError`` for what is no EC private key."""
    key = load_pem_private_key(pem.encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not an EC private key")  # noqa: TRY004 - a bad file, not a bad call
    return key


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def make_authority() -> Tls:
    """A fresh self-signed certification authority."""
    pem = make_key()
    key = load_key(pem)
    name = _name("hem-provider emulator CA - protects nothing")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - datetime.timedelta(days=1))
        .not_valid_after(_now() + datetime.timedelta(days=_CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Tls(pem, certificate.public_bytes(Encoding.PEM).decode())


def sign_request(
    authority: Tls,
    public_key: ec.EllipticCurvePublicKey,
    names: Sequence[str],
    *,
    now: float = 0.0,
    expired: bool = False,
) -> str:
    """A PEM leaf certificate for ``names`` (host names and IP addresses), valid from the day before ``now``
    (Unix seconds; the machine's time where that is later) for 90 days, or expired yesterday."""
    issuer = x509.load_pem_x509_certificate(authority.chain.encode())
    issuer_key = load_key(authority.key)
    today = max(_now(), datetime.datetime.fromtimestamp(now, datetime.UTC))
    until = today + datetime.timedelta(days=-1 if expired else _LEAF_DAYS)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(names[0]))
        .issuer_name(issuer.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(until - datetime.timedelta(days=_LEAF_DAYS + 1))
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .sign(issuer_key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode()


def issue(
    authority: Tls,
    names: Sequence[str],
    *,
    now: float = 0.0,
    key: str | None = None,
    expired: bool = False,
) -> Tls:
    """A key (a fresh one unless given) with a certificate for ``names``, as ``sign_request`` makes it."""
    pem = key if key is not None else make_key()
    return Tls(pem, sign_request(authority, load_key(pem).public_key(), names, now=now, expired=expired))


def certificate_names(chain: str) -> tuple[str, ...]:
    """Host names and IP addresses of the leaf of a PEM chain."""
    certificate = x509.load_pem_x509_certificate(chain.encode())
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in names if isinstance(name, (x509.DNSName, x509.IPAddress)))


def serves(chain: str, authority: str, names: Sequence[str]) -> bool:
    """``True`` when the leaf is foreign to ``authority``, or covers all ``names`` and is valid for another
    week."""
    leaf = x509.load_pem_x509_certificate(chain.encode())
    issuer = x509.load_pem_x509_certificate(authority.encode())
    if leaf.issuer != issuer.subject:
        return True
    fresh = leaf.not_valid_after_utc - _now() > datetime.timedelta(days=7)
    return fresh and set(names) <= set(certificate_names(chain))
