"""Who answers at a device's URL, before anybody trusts it: the certificate that is presented."""

from __future__ import annotations

import ssl
from datetime import datetime
from hashlib import sha256
from urllib.parse import urlsplit

from hem_provider.config import DeviceConfig
from hem_provider.errors import HemTLSError, HemUnreachable
from hem_provider.records import frozen

__all__ = ["Presented", "presented"]


@frozen
class Presented:
    """A certificate that nobody vouches for. ``fingerprint``: SHA-256 of all of it, ``pin`` of its public key
    as ``pin_sha256`` takes it, both in lower-case hex; ``not_after`` in UTC."""

    subject: str
    issuer: str
    not_after: datetime
    fingerprint: str
    pin: str


def presented(config: DeviceConfig) -> Presented:
    """The certificate of the host of an ``https`` URL, from one TLS handshake that verifies nothing and
    after which nothing is sent. ``HemUnreachable``, ``HemTLSError``."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    from hem_provider.rest.deadline import Deadline
    from hem_provider.rest.sockets import open_socket
    from hem_provider.rest.tls import client_context, spki_sha256
    from hem_provider.rest.wire import Limit

    parts, who = urlsplit(config.url), f"{config.name} ({config.url})"
    host = parts.hostname or ""
    deadline = Deadline(Limit(config.timeout, "timeout"), Limit(config.connect_timeout, "connect_timeout"))
    try:
        with open_socket(host, parts.port or 443, deadline, None) as connection:
            with client_context(insecure=True).wrap_socket(connection, server_hostname=host) as wrapped:
                certificate = wrapped.getpeercert(binary_form=True) or b""
    except ssl.SSLError as error:
        raise HemTLSError(f"{who}: no TLS could be agreed: {error.reason or error}") from None
    except OSError as error:
        raise HemUnreachable(f"{who}: not reached: {error.strerror or error}") from None
    try:
        found = x509.load_der_x509_certificate(certificate)
        return Presented(
            _printable(found.subject.rfc4514_string()),
            _printable(found.issuer.rfc4514_string()),
            found.not_valid_after_utc,
            sha256(certificate).hexdigest(),
            spki_sha256(certificate),
        )
    except (ValueError, UnsupportedAlgorithm):
        raise HemTLSError(f"{who}: what it presents ({len(certificate)} bytes) is no certificate") from None


def _printable(text: str) -> str:
    """Names that a stranger has chosen, without what would move a terminal's cursor."""
    return "".join(each if each.isprintable() else "?" for each in text)
