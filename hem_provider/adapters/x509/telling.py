"""What a certificate or a request says, as values, and their files."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from hem_provider.adapters.x509.names import told
from hem_provider.records import frozen

__all__ = ["Told", "names_of", "pem_of", "read_certificate", "read_request", "tell"]


@frozen
class Told:
    """``subject`` and ``issuer`` as RFC 4514 has them; ``names`` as ``names.read_name`` takes them;
    ``serial`` in hex; times in UTC; ``sha256``: of the whole certificate, in hex; ``path_length``: of an
    authority that has one."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    serial: str
    not_before: datetime
    not_after: datetime
    sha256: str
    ca: bool
    path_length: int | None

    def days_left(self, now: datetime | None = None) -> int:
        """Whole days until it ends; negative after that."""
        return (self.not_after - (now or datetime.now(UTC))).days


def tell(certificate: x509.Certificate | bytes) -> Told:
    """What a certificate, or its DER, says. ``ValueError`` for what is none, or cannot be read."""
    if isinstance(certificate, bytes):
        certificate = x509.load_der_x509_certificate(certificate)
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        constraints = x509.BasicConstraints(ca=False, path_length=None)
    except (x509.UnsupportedGeneralNameType, x509.DuplicateExtension) as error:
        raise ValueError(str(error)) from None
    return Told(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        names=names_of(certificate),
        serial=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
        ca=constraints.ca,
        path_length=constraints.path_length,
    )


def names_of(made: x509.Certificate | x509.CertificateSigningRequest) -> tuple[str, ...]:
    """Its alternative names, as people type them."""
    try:
        found = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(map(told, found))


def pem_of(made: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    """In PEM (RFC 7468)."""
    return made.public_bytes(Encoding.PEM)


def read_certificate(data: bytes) -> x509.Certificate:
    """A certificate in PEM, the first of several, or DER. ``ValueError`` for what is none."""
    try:
        if data.lstrip().startswith(b"-----"):
            return x509.load_pem_x509_certificate(data)
        return x509.load_der_x509_certificate(data)
    except ValueError:
        raise ValueError("it is no certificate in PEM or DER") from None


def read_request(data: bytes) -> x509.CertificateSigningRequest:
    """A request in PEM or DER. ``ValueError`` for what is none."""
    try:
        if data.lstrip().startswith(b"-----"):
            return x509.load_pem_x509_csr(data)
        return x509.load_der_x509_csr(data)
    except ValueError:
        raise ValueError("it is no certificate request in PEM or DER") from None
