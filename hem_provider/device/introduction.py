"""Who answers at a device's URL, before anybody trusts it: the certificate that is presented."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

from hem_provider.config import DeviceConfig
from hem_provider.device.shown import shown_certificate
from hem_provider.errors import HemTLSError
from hem_provider.printable import printable
from hem_provider.records import frozen, replace

__all__ = ["Introduction", "introduced"]


@frozen
class Introduction:
    """A certificate that nobody vouches for. ``fingerprint``: SHA-256 of all of it, ``pin`` of its public key
    as ``pin_sha256`` takes it, both in lower-case hex; ``not_after`` in UTC."""

    subject: str
    issuer: str
    not_after: datetime
    fingerprint: str
    pin: str


def introduced(config: DeviceConfig) -> Introduction:
    """The certificate of the host of an ``https`` URL, from one TLS handshake that verifies nothing and
    after which nothing is sent. ``HemUnreachable``, ``HemTLSError``."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    from hem_provider.rest.tls import spki_sha256

    who = f"{config.name} ({config.url})"
    certificate = shown_certificate(replace(config, insecure=True, ca_file=None, pin_sha256=None)).der
    try:
        found = x509.load_der_x509_certificate(certificate)
        return Introduction(
            printable(found.subject.rfc4514_string(), "?"),
            printable(found.issuer.rfc4514_string(), "?"),
            found.not_valid_after_utc,
            sha256(certificate).hexdigest(),
            spki_sha256(certificate),
        )
    except (ValueError, UnsupportedAlgorithm):
        raise HemTLSError(f"{who}: what it presents ({len(certificate)} bytes) is no certificate") from None
